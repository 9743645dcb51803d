package notify

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// The topics, by upstream's names ([oslo_messaging_notifications] topics and
// [notifications] versioned_notifications_topics).
const (
	TopicVersioned   = "versioned_notifications"
	TopicUnversioned = "notifications"
)

// The sources of notifications; with a host they are the publisher's id.
const (
	ByAPI       = "nova-api"
	ByCompute   = "nova-compute"
	ByConductor = "nova-conductor"
	ByScheduler = "nova-scheduler"
)

// Message is a notification as it goes out.
type Message struct {
	MessageID   string `json:"message_id"`
	PublisherID string `json:"publisher_id"` // SOURCE:HOST; unversioned ones have compute.HOST
	EventType   string `json:"event_type"`
	Priority    string `json:"priority"` // "INFO" or "ERROR"
	Payload     any    `json:"payload"`
	Timestamp   string `json:"timestamp"`

	// Topic is where it goes.
	Topic string `json:"-"`
}

// Cause is who and what brought something about.
type Cause struct {
	RequestID, UserID, ProjectID string
	Host                         string // of the process that tells
	Now                          time.Time
}

func (c Cause) message(topic, publisher, event, priority string, payload any) Message {
	return Message{MessageID: uuid.NewString(), PublisherID: publisher, EventType: event, Priority: priority, Payload: payload,
		Timestamp: c.Now.UTC().Format("2006-01-02 15:04:05.000000"), Topic: topic}
}

// versioned is a message with a payload of upstream's object model.
func (c Cause) versioned(source, event string, payload object) Message {
	priority := "INFO"
	if len(event) > 6 && event[len(event)-6:] == ".error" {
		priority = "ERROR"
	}
	return c.message(TopicVersioned, source+":"+c.Host, event, priority, payload)
}

// object is a value of upstream's object model.
type object struct {
	Name      string `json:"nova_object.name"`
	Namespace string `json:"nova_object.namespace"`
	Version   string `json:"nova_object.version"`
	Data      any    `json:"nova_object.data"`
}

func objectOf(name, version string, data any) object { return object{name, "nova", version, data} }

// stamp is an instant; null when it is zero.
type stamp struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (s stamp) MarshalJSON() ([]byte, error) {
	if s.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(s.UTC().Format("2006-01-02T15:04:05Z"))
}

// orNull is a text; null when it is empty.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
