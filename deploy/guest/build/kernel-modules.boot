# Kernel modules of the initramfs: what may stand between the firmware and the
# root file system. A name this kernel has not, or has built in, is passed over.
virtio_pci
virtio_blk
virtio_scsi
sd_mod
ata_piix
ahci
nvme
ext4
