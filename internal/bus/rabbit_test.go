package bus_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"kilonova/internal/bus"
	"kilonova/internal/bus/bustest"
	"kilonova/internal/fault"
)

func TestRabbitConfig(t *testing.T) {
	for _, bad := range []string{"", "nats://h", "rabbit://", "rabbit://u:p@/", "rabbit://u:p@h1,%zz"} {
		if _, err := bus.NewRabbit(bus.RabbitConfig{URL: bad}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	nobody, err := bus.NewRabbit(bus.RabbitConfig{URL: "rabbit://u:p@127.0.0.1:1,u:p@127.0.0.1:2/v", Exchange: "nova"})
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	if err := nobody.Publish(t.Context(), []bus.Notice{{Topic: "t", Priority: "info", Message: json.RawMessage(`{}`)}}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("nobody is there: %v", err)
	}
}

// read takes what waits in a queue.
func read(t *testing.T, url, queue string, want int) []amqp.Delivery {
	t.Helper()
	conn, err := amqp.Dial("amqp" + url[len("rabbit"):])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	got, err := channel.ConsumeWithContext(t.Context(), queue, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []amqp.Delivery
	for len(all) < want {
		select {
		case d := <-got:
			all = append(all, d)
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of %d messages in %s", len(all), want, queue)
		}
	}
	return all
}

// Notices wait in queues of their topics, in the form that oslo.messaging has, and
// are published again after the broker was away.
func TestRabbit(t *testing.T) {
	broker := bustest.RabbitMQ(t)
	r, err := bus.NewRabbit(bus.RabbitConfig{URL: broker.URL(), Exchange: "nova", Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	notice := func(priority, event string) bus.Notice {
		return bus.Notice{Topic: "versioned_notifications", Priority: priority, Message: json.RawMessage(`{"event_type":"` + event + `","payload":{"a":1}}`)}
	}
	if err := r.Publish(t.Context(), []bus.Notice{notice("info", "one"), notice("error", "two"), notice("info", "three")}); err != nil {
		t.Fatal(err)
	}
	var events, ids []string
	for _, d := range slices.Concat(read(t, broker.URL(), "versioned_notifications.info", 2), read(t, broker.URL(), "versioned_notifications.error", 1)) {
		var envelope map[string]string
		if err := json.Unmarshal(d.Body, &envelope); err != nil || envelope["oslo.version"] != "2.0" || len(envelope) != 2 {
			t.Fatalf("%s, %v", d.Body, err)
		}
		var m struct {
			Event   string         `json:"event_type"`
			Payload map[string]int `json:"payload"`
			ID      string         `json:"_unique_id"`
		}
		if err := json.Unmarshal([]byte(envelope["oslo.message"]), &m); err != nil || m.Payload["a"] != 1 || len(m.ID) != 32 || slices.Contains(ids, m.ID) {
			t.Fatalf("%s, %v", d.Body, err)
		}
		if d.Exchange != "nova" || d.ContentType != "application/json" || d.ContentEncoding != "utf-8" || d.DeliveryMode != amqp.Persistent {
			t.Errorf("%+v", d)
		}
		events, ids = append(events, m.Event), append(ids, m.ID)
	}
	if !slices.Equal(events, []string{"one", "three", "two"}) {
		t.Errorf("%v", events)
	}
	if err := r.Publish(t.Context(), []bus.Notice{notice("info", "kept")}); err != nil {
		t.Fatal(err)
	}
	broker.Stop()
	if err := r.Publish(t.Context(), []bus.Notice{notice("info", "later")}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("the broker is away: %v", err)
	}
	broker.Start()
	if err := r.Publish(t.Context(), []bus.Notice{notice("info", "later")}); err != nil {
		t.Fatal(err)
	}
	read(t, broker.URL(), "versioned_notifications.info", 2)

	bare, err := bus.NewRabbit(bus.RabbitConfig{URL: broker.URL(), Exchange: "nova", Durable: true, Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	if err := bare.Publish(t.Context(), []bus.Notice{{Topic: "notifications", Priority: "info", Message: json.RawMessage(`{"event_type":"old"}`)}}); err != nil {
		t.Fatal(err)
	}
	var old map[string]string
	if d := read(t, broker.URL(), "notifications.info", 1)[0]; json.Unmarshal(d.Body, &old) != nil || old["event_type"] != "old" || old["oslo.version"] != "" {
		t.Errorf("%s", d.Body)
	}
}
