package compute

import "time"

// Flavor is what a server may use.
type Flavor struct {
	ID          string            `json:"id"` // flavorid of upstream: chosen by the operator
	Name        string            `json:"name"`
	Description *string           `json:"description,omitempty"`
	VCPUs       int               `json:"vcpus"`
	MemoryMB    int               `json:"ram"`
	RootGB      int               `json:"disk"`
	EphemeralGB int               `json:"ephemeral,omitempty"`
	SwapMB      int               `json:"swap,omitempty"`
	RxTxFactor  float64           `json:"rxtx_factor,omitempty"`
	Public      bool              `json:"public,omitempty"`
	Disabled    bool              `json:"disabled,omitempty"`
	ExtraSpecs  map[string]string `json:"extra_specs,omitempty"`
	CreatedAt   time.Time         `json:"-"`
	// Projects may use it when it is not public.
	Projects []string `json:"-"`
}

// DiskGB is what a server of this flavor takes of a host's disk.
func (f Flavor) DiskGB() int { return f.RootGB + f.EphemeralGB + (f.SwapMB+1023)/1024 }

// Reserved is what counts of a server for its project's quota.
type Reserved struct{ VCPUs, MemoryMB int }

// Reserved is what a server of this flavor takes of its project's quota.
func (f Flavor) Reserved() Reserved { return Reserved{f.VCPUs, f.MemoryMB} }

// Max is as much of each as the larger of two.
func (r Reserved) Max(o Reserved) Reserved {
	return Reserved{max(r.VCPUs, o.VCPUs), max(r.MemoryMB, o.MemoryMB)}
}

// Keypair is a user's public key under a name.
type Keypair struct {
	Seq         int64
	UserID      string
	Name        string
	Type        string // "ssh" or "x509"
	PublicKey   string
	Fingerprint string
	CreatedAt   time.Time
}
