package network

// DefaultGroup is the name of the group that every project has.
const DefaultGroup = "default"

// SecurityGroup is a set of rules for ports.
type SecurityGroup struct {
	Standard
	Name     string `json:"name"`
	Stateful bool   `json:"stateful"`
	Rules    []Rule `json:"security_group_rules"`
	Shared   bool   `json:"shared"`
	Default  bool   `json:"-"` // the project's default group
}

// Rule allows traffic.
type Rule struct {
	Standard
	GroupID        string  `json:"security_group_id"`
	Direction      string  `json:"direction"`
	EtherType      string  `json:"ethertype"`
	Protocol       *string `json:"protocol"`
	PortMin        *int    `json:"port_range_min"`
	PortMax        *int    `json:"port_range_max"`
	RemotePrefix   *string `json:"remote_ip_prefix"`
	RemoteGroup    *string `json:"remote_group_id"`
	NormalizedCIDR *string `json:"normalized_cidr"`
}

// SecurityGroupInput is a request to make or change a security group.
type SecurityGroupInput struct {
	OwnerInput
	Name        Opt[string] `json:"name" on:"post,put" max:"255"`
	Description Opt[string] `json:"description" on:"post,put" max:"255"`
	Stateful    Opt[bool]   `json:"stateful" on:"post,put"`
}

// RuleInput is a request to make a rule. Rules do not change.
type RuleInput struct {
	OwnerInput
	GroupID      Opt[string] `json:"security_group_id" on:"post" need:"yes"`
	Direction    Opt[string] `json:"direction" on:"post" need:"yes"`
	EtherType    Opt[string] `json:"ethertype" on:"post" null:"ok"`
	Protocol     Opt[Word]   `json:"protocol" on:"post" null:"ok"`
	PortMin      Opt[int]    `json:"port_range_min" on:"post" null:"ok"`
	PortMax      Opt[int]    `json:"port_range_max" on:"post" null:"ok"`
	RemotePrefix Opt[string] `json:"remote_ip_prefix" on:"post" null:"ok"`
	RemoteGroup  Opt[string] `json:"remote_group_id" on:"post" null:"ok"`
	Description  Opt[string] `json:"description" on:"post" max:"255"`
}

// Word is a text that clients may also write as a number.
type Word string

// UnmarshalJSON implements json.Unmarshaler.
func (w *Word) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' {
		*w = Word(data)
		return nil
	}
	var o Opt[string]
	err := o.UnmarshalJSON(data)
	*w = Word(o.V)
	return err
}

// Protocols are the names of IP protocols that rules may use.
var Protocols = map[string]int{
	"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "igmp": 2, "ipv6-encap": 41, "ipv6-frag": 44,
	"ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113,
	"rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112, "ipip": 4,
}
