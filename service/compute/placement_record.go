package compute

import (
	"encoding/json"
	"time"
)

// PlacementRecord is why a server came to a host, or to none.
type PlacementRecord struct {
	ServerID, RequestID string
	// Host is where it was decided to go; "" nowhere, for the reason Refusal.
	Host, Refusal string
	Driver        string // of the scheduler
	DecidedAt     time.Time
	Took          time.Duration // from the question to the claim
	Together      int           // servers that were decided on together
	// Record is the scheduler's explanation.
	Record json.RawMessage
}
