package diskimage

import "bytes"

// vdi finds VirtualBox's format.
func vdi(c *content) *finding {
	if len(c.head) < 0x44 || little.Uint32(c.head[0x40:]) != 0xbeda107f {
		return nil
	}
	f := &finding{format: "vdi"}
	if len(c.head) < 0x200 {
		f.flaw("The header is cut off.")
		return f
	}
	if size := little.Uint64(c.head[0x170:]); size <= 1<<62 {
		f.size = int64(size)
	} else {
		f.flaw("The disk would have %d bytes.", size)
	}
	switch kind := little.Uint32(c.head[0x4c:]); kind {
	case 1, 2: // dynamic, fixed
	case 3, 4:
		f.flaw("It is a difference to another file.")
	default:
		f.flaw("Its image type %d is not supported.", kind)
	}
	return f
}

// ploop finds the disks of Parallels and OpenVZ.
func ploop(c *content) *finding {
	if !bytes.HasPrefix(c.head, []byte("WithoutFreeSpace")) && !bytes.HasPrefix(c.head, []byte("WithouFreSpacExt")) {
		return nil
	}
	f := &finding{format: "ploop"}
	if len(c.head) < 64 {
		f.flaw("The header is cut off.")
	} else if sectors := little.Uint64(c.head[36:]); sectors < 1<<53 {
		f.size = int64(sectors) * 512
	}
	return f
}

// foreign finds what QEMU would take for a disk image and nobody wants.
func foreign(c *content) *finding {
	for sign, format := range map[string]string{
		"Bochs Virtual HD Image":             "bochs",
		"#!/bin/sh\n#V2.0 Format\nmodprobe ": "cloop",
	} {
		if bytes.HasPrefix(c.head, []byte(sign)) {
			return &finding{format: format, flaws: []string{"This format is not allowed."}}
		}
	}
	return nil
}

// iso finds images of optical discs, ISO 9660 and UDF.
func iso(c *content) *finding {
	for sector := 16; sector < 20 && len(c.head) >= sector<<11+6; sector++ {
		switch string(c.head[sector<<11+1 : sector<<11+6]) {
		case "CD001", "NSR02", "NSR03":
			return &finding{format: "iso", plain: true}
		}
	}
	return nil
}

// luks finds encrypted volumes. QEMU opens version 1 only.
func luks(c *content) *finding {
	if !bytes.HasPrefix(c.head, []byte("LUKS\xba\xbe")) {
		return nil
	}
	f := &finding{format: "luks", plain: true}
	if len(c.head) < 592 {
		f.flaw("The header is cut off.")
		return f
	}
	if v := big.Uint16(c.head[6:]); v != 1 {
		f.flaw("Version %d is not supported.", v)
	}
	if payload := int64(big.Uint32(c.head[104:])) * 512; payload < c.size {
		f.size = c.size - payload
	}
	return f
}

// gpt finds disks with a partition table, GPT or MBR. Boot sectors of file
// systems have the same mark at their end; a table that is none is a flaw only
// for those who say that the image has one.
func gpt(c *content) *finding {
	if len(c.head) < 512 || c.head[510] != 0x55 || c.head[511] != 0xaa {
		return nil
	}
	if c.head[0x10] == 2 && c.head[0x15] == 0xf8 { // a FAT file system
		return nil
	}
	f := &finding{format: "gpt", plain: true}
	used, protective := 0, false
	for i := range 4 {
		entry := c.head[446+16*i:]
		if entry[0] != 0 && entry[0] != 0x80 {
			f.flaw("Partition %d has a malformed boot flag.", i+1)
		}
		if entry[4] == 0 {
			continue
		}
		used++
		if entry[4] == 0xee {
			protective = true
			if little.Uint32(entry[8:]) != 1 {
				f.flaw("Its protective partition does not begin where the table is.")
			}
		}
	}
	if used == 0 {
		f.flaw("It has no partitions.")
	}
	if protective && used > 1 {
		f.flaw("It has partitions beside the protective one.")
	}
	return f
}
