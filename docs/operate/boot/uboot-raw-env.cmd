# Tenure: an example of a board whose U-Boot has no saveenv: the environment is one sector of the
# partition "env" (the second), which no power cut tears; the slots are the third and the fourth, each with
# an ext4 root file system that has its kernel in /boot. QEMU's x86 machine is such a board.
#
# The agent's /etc/fw_env.config:   /dev/disk/by-partlabel/env 0x0 0x200

setenv tenure_args console=ttyS0 panic=5 quiet board.watchdog
setenv tenure_names BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT BOOT_ROUNDS
setenv tenure_load 'part start virtio 0 2 tenure_at; if virtio read 0x01000000 ${tenure_at} 1; then env import -c 0x01000000 0x200 ${tenure_names}; fi'
setenv tenure_save 'env export -c -s 0x200 0x01000000 ${tenure_names}; virtio write 0x01000000 ${tenure_at} 1'
setenv tenure_boot 'if test ${tenure_slot} = A; then setenv tenure_part 3; else setenv tenure_part 4; fi; setenv bootargs ${tenure_args} root=/dev/vda${tenure_part} rauc.slot=${tenure_slot}; ext4load virtio 0:${tenure_part} 0x02000000 /boot/vmlinuz; setenv tenure_kernel ${filesize}; if ext4load virtio 0:${tenure_part} 0x06000000 /boot/initrd; then zboot 0x02000000 ${tenure_kernel} 0x06000000 ${filesize}; fi'
