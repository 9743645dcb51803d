package libvirt

// sectorSize is what a BIOS loads of a disk, and the least that a disk can be.
const sectorSize = 512

// bootSector makes the first sector of a disk: code, which a BIOS loads to
// 0x7c00 and runs in real mode, and the signature that it looks for.
func bootSector(code []byte) []byte {
	sector := make([]byte, sectorSize)
	copy(sector[:sectorSize-2], code)
	sector[sectorSize-2], sector[sectorSize-1] = 0x55, 0xaa
	return sector
}

// The trial guest ends QEMU through its isa-debug-exit device: a byte b written
// to the device's port makes QEMU exit with 2*b+1, a code that QEMU gives for no
// other reason.
const (
	trialPort = 0xf4
	trialByte = 0x2a
	trialExit = 2*trialByte + 1
)

// trialCode is the whole trial guest.
var trialCode = []byte{
	0xb0, trialByte, // mov al, trialByte
	0xe6, trialPort, // out trialPort, al
	0xf4,       // hlt
	0xeb, 0xfd, // jmp back to hlt
}
