package libvirt

import "encoding/xml"

// The structs of this file are libvirt's domain XML, as much of it as the driver
// writes and reads (https://libvirt.org/formatdomain.html). Order is that of the
// text; a nil pointer or empty string leaves an element or attribute out.

type domain struct {
	XMLName  xml.Name  `xml:"domain"`
	Type     string    `xml:"type,attr"`
	Name     string    `xml:"name"`
	UUID     string    `xml:"uuid"`
	Title    string    `xml:"title,omitempty"`
	Metadata *metadata `xml:"metadata"`

	Memory        quantity       `xml:"memory"`
	MemoryBacking *memoryBacking `xml:"memoryBacking"`
	VCPU          int            `xml:"vcpu"`
	CPUTune       *cpuTune       `xml:"cputune"`
	NUMATune      *numaTune      `xml:"numatune"`

	SysInfo  *sysInfo  `xml:"sysinfo"`
	OS       osBoot    `xml:"os"`
	Features *features `xml:"features"`
	CPU      *cpu      `xml:"cpu"`
	Clock    clock     `xml:"clock"`

	OnPoweroff string `xml:"on_poweroff"`
	OnReboot   string `xml:"on_reboot"`
	OnCrash    string `xml:"on_crash"`

	Devices devices `xml:"devices"`
}

type quantity struct {
	Unit  string `xml:"unit,attr,omitempty"`
	Value int    `xml:",chardata"`
}

type sysInfo struct {
	Type   string  `xml:"type,attr"`
	System []entry `xml:"system>entry"`
}

type entry struct {
	Name  string `xml:"name,attr"`
	Value string `xml:",chardata"`
}

type osBoot struct {
	Type    osType  `xml:"type"`
	Kernel  string  `xml:"kernel,omitempty"`
	Initrd  string  `xml:"initrd,omitempty"`
	Cmdline string  `xml:"cmdline,omitempty"`
	SMBIOS  *smbios `xml:"smbios"`
}

type osType struct {
	Arch    string `xml:"arch,attr,omitempty"`
	Machine string `xml:"machine,attr,omitempty"`
	Value   string `xml:",chardata"`
}

type smbios struct {
	Mode string `xml:"mode,attr"`
}

type features struct {
	ACPI *struct{} `xml:"acpi"`
	APIC *struct{} `xml:"apic"`
}

type cpu struct {
	Mode     string    `xml:"mode,attr,omitempty"`
	Match    string    `xml:"match,attr,omitempty"`
	Model    *cpuModel `xml:"model"`
	Topology *topology `xml:"topology"`
	NUMA     *cpuNUMA  `xml:"numa"`
}

type cpuModel struct {
	Fallback string `xml:"fallback,attr,omitempty"`
	Value    string `xml:",chardata"`
}

type topology struct {
	Sockets int `xml:"sockets,attr"`
	Cores   int `xml:"cores,attr"`
	Threads int `xml:"threads,attr"`
}

type clock struct {
	Offset string  `xml:"offset,attr"`
	Timers []timer `xml:"timer"`
}

type timer struct {
	Name       string `xml:"name,attr"`
	TickPolicy string `xml:"tickpolicy,attr,omitempty"`
	Present    string `xml:"present,attr,omitempty"`
}

type devices struct {
	Disks       []disk       `xml:"disk"`
	Controllers []controller `xml:"controller"`
	Interfaces  []iface      `xml:"interface"`
	Hostdevs    []hostdev    `xml:"hostdev"`
	Serials     []serial     `xml:"serial"`
	Channels    []channel    `xml:"channel"`
	Inputs      []input      `xml:"input"`
	Graphics    []graphics   `xml:"graphics"`
	Video       *video       `xml:"video"`
	RNG         *rng         `xml:"rng"`
	Balloon     *balloon     `xml:"memballoon"`
}

type disk struct {
	XMLName  xml.Name    `xml:"disk"`
	Type     string      `xml:"type,attr"`   // file or network
	Device   string      `xml:"device,attr"` // disk or cdrom
	Driver   *diskDriver `xml:"driver"`
	Source   *diskSource `xml:"source"`
	Target   diskTarget  `xml:"target"`
	ReadOnly *struct{}   `xml:"readonly"`
	Serial   string      `xml:"serial,omitempty"`
	Boot     *bootOrder  `xml:"boot"`
}

type diskDriver struct {
	Name    string `xml:"name,attr"`
	Type    string `xml:"type,attr"`
	Discard string `xml:"discard,attr,omitempty"`
}

type diskSource struct {
	File     string    `xml:"file,attr,omitempty"`
	Protocol string    `xml:"protocol,attr,omitempty"`
	Name     string    `xml:"name,attr,omitempty"`
	Host     *diskHost `xml:"host"`
	Auth     *diskAuth `xml:"auth"`
}

type diskHost struct {
	Name      string `xml:"name,attr,omitempty"`
	Port      string `xml:"port,attr,omitempty"`
	Transport string `xml:"transport,attr,omitempty"`
	Socket    string `xml:"socket,attr,omitempty"`
}

type diskAuth struct {
	Username string     `xml:"username,attr"`
	Secret   authSecret `xml:"secret"`
}

type authSecret struct {
	Type string `xml:"type,attr"`
	UUID string `xml:"uuid,attr"`
}

type diskTarget struct {
	Dev string `xml:"dev,attr"`
	Bus string `xml:"bus,attr,omitempty"`
}

type bootOrder struct {
	Order int `xml:"order,attr"`
}

type controller struct {
	Type  string `xml:"type,attr"`
	Index string `xml:"index,attr,omitempty"`
	Model string `xml:"model,attr,omitempty"`
}

type iface struct {
	XMLName xml.Name     `xml:"interface"`
	Type    string       `xml:"type,attr"`
	MAC     *macAddress  `xml:"mac"`
	Target  *ifaceTarget `xml:"target"`
	Model   *typed       `xml:"model"`
	MTU     *mtu         `xml:"mtu"`
}

type macAddress struct {
	Address string `xml:"address,attr"`
}

type ifaceTarget struct {
	Dev     string `xml:"dev,attr"`
	Managed string `xml:"managed,attr,omitempty"`
}

type typed struct {
	Type string `xml:"type,attr"`
}

type mtu struct {
	Size int `xml:"size,attr"`
}

type serial struct {
	Type   string       `xml:"type,attr"`
	Log    *charLog     `xml:"log"`
	Target serialTarget `xml:"target"`
}

type charLog struct {
	File   string `xml:"file,attr"`
	Append string `xml:"append,attr"`
}

type serialTarget struct {
	Type string `xml:"type,attr,omitempty"`
	Port int    `xml:"port,attr"`
}

type channel struct {
	Type   string        `xml:"type,attr"`
	Source channelSource `xml:"source"`
	Target channelTarget `xml:"target"`
}

type channelSource struct {
	Mode string `xml:"mode,attr"`
}

type channelTarget struct {
	Type string `xml:"type,attr"`
	Name string `xml:"name,attr"`
}

type input struct {
	Type string `xml:"type,attr"`
	Bus  string `xml:"bus,attr"`
}

type graphics struct {
	Type     string `xml:"type,attr"`
	Port     string `xml:"port,attr,omitempty"`
	AutoPort string `xml:"autoport,attr"`
	Listen   string `xml:"listen,attr"`
}

type video struct {
	Model typed `xml:"model"`
}

type rng struct {
	Model   string     `xml:"model,attr"`
	Backend rngBackend `xml:"backend"`
}

type rngBackend struct {
	Model string `xml:"model,attr"`
	Path  string `xml:",chardata"`
}

type balloon struct {
	Model string         `xml:"model,attr"`
	Stats *balloonPeriod `xml:"stats"`
}

type balloonPeriod struct {
	Period int `xml:"period,attr"`
}
