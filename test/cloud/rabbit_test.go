package cloud

import (
	"encoding/json"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"kilonova/internal/bus/bustest"
	"kilonova/stack"
)

// What is told of a server waits at a RabbitMQ for whoever listens there, as
// oslo.messaging would have put it.
func TestNotificationsGoToRabbitMQ(t *testing.T) {
	broker := bustest.RabbitMQ(t)
	c := oneWith(t, func(c *stack.Config) {
		c.Messaging.Driver, c.Messaging.TransportURL, c.Notifications.Format = "messagingv2", broker.URL(), "versioned"
	})
	hostsUp(t, c)
	s := runningServer(t, c.demo)
	conn, err := amqp.Dial("amqp" + broker.URL()[len("rabbit"):])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var said <-chan amqp.Delivery
	eventually(t, "the queue", func() string { // the first message makes it, which may come after the server runs
		channel, err := conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		if said, err = channel.ConsumeWithContext(t.Context(), "versioned_notifications.info", "", true, false, false, false, nil); err != nil {
			return err.Error()
		}
		return ""
	})
	deadline := time.After(time.Minute)
	for {
		select {
		case d := <-said:
			var envelope map[string]string
			var m struct {
				Event   string `json:"event_type"`
				Payload struct {
					Data struct{ UUID string } `json:"nova_object.data"`
				}
			}
			if err := json.Unmarshal(d.Body, &envelope); err != nil || envelope["oslo.version"] != "2.0" {
				t.Fatalf("%s, %v", d.Body, err)
			}
			if err := json.Unmarshal([]byte(envelope["oslo.message"]), &m); err != nil {
				t.Fatalf("%s, %v", d.Body, err)
			}
			if m.Event == "instance.create.end" && m.Payload.Data.UUID == s {
				return
			}
		case <-deadline:
			t.Fatal("nobody told of the server")
		}
	}
}
