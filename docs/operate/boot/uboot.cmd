# Tenure: boot script for U-Boot, two slots, RAUC's variables. Copy it into your board's boot script,
# after the lines that set what it uses (uboot-raw-env.cmd is an example):
#
#   tenure_boot    boots slot ${tenure_slot} (A or B) with ${tenure_args}, and returns if it cannot
#   tenure_args    the kernel's arguments that do not depend on the slot
#   tenure_load    reads the environment, where U-Boot has not done that itself    (optional)
#   tenure_save    makes it durable                                 (default: saveenv)
#   tenure_rescue  what to do when no slot boots any more           (default: stop here)
#
# BOOT_ORDER names the slots that may be tried, the first first; BOOT_x_LEFT says how often each may
# still be tried. The agent writes 3 into a slot that has proven itself and 1 into one on trial; here
# one is taken off before each boot. When none is left, those in BOOT_ORDER get one more try each,
# three times in all (BOOT_ROUNDS): a good slot is not lost to power cuts while it boots. After that
# it is tenure_rescue, not a loop. A slot that comes to its three tries again clears BOOT_ROUNDS.
#
# It needs neither setexpr nor a particular parser. Without a valid environment it tries A, then B.

if test -n "${tenure_load}"; then run tenure_load; fi
if test -z "${tenure_save}"; then setenv tenure_save saveenv; fi
if test -z "${BOOT_ORDER}"; then setenv BOOT_ORDER A B; fi
if test -z "${BOOT_A_LEFT}"; then setenv BOOT_A_LEFT 3; fi
if test -z "${BOOT_B_LEFT}"; then setenv BOOT_B_LEFT 3; fi
if test -z "${BOOT_ROUNDS}"; then setenv BOOT_ROUNDS 0; fi

setenv tenure_left_of 'if test ${tenure_name} = A; then setenv tenure_left ${BOOT_A_LEFT}; fi; if test ${tenure_name} = B; then setenv tenure_left ${BOOT_B_LEFT}; fi'

# The first slot of the order with a try left, and what is left after this one.
setenv tenure_choose 'setenv tenure_slot; for tenure_n in ${BOOT_ORDER}; do setenv tenure_name ${tenure_n}; setenv tenure_left 0; run tenure_left_of; if test -z "${tenure_slot}"; then setenv tenure_less 0; for tenure_k in 1 2 3 4 5 6 7 8 9; do if test "${tenure_left}" = "${tenure_k}"; then setenv tenure_slot ${tenure_name}; setenv tenure_after ${tenure_less}; fi; setenv tenure_less ${tenure_k}; done; fi; done'

run tenure_choose
if test -z "${tenure_slot}" -a "${BOOT_ROUNDS}" != 3; then
  if test "${BOOT_ROUNDS}" = 2; then setenv BOOT_ROUNDS 3; fi
  if test "${BOOT_ROUNDS}" = 1; then setenv BOOT_ROUNDS 2; fi
  if test "${BOOT_ROUNDS}" = 0; then setenv BOOT_ROUNDS 1; fi
  setenv BOOT_A_LEFT 1
  setenv BOOT_B_LEFT 1
  run tenure_choose
fi
if test -n "${tenure_slot}"; then
  if test "${tenure_after}" = 2; then setenv BOOT_ROUNDS 0; fi
  if test "${tenure_slot}" = A; then setenv BOOT_A_LEFT ${tenure_after}; fi
  if test "${tenure_slot}" = B; then setenv BOOT_B_LEFT ${tenure_after}; fi
  run tenure_save
  echo "tenure: slot ${tenure_slot}, ${tenure_after} tries left after this one (order ${BOOT_ORDER})"
  run tenure_boot
  echo "tenure: slot ${tenure_slot} does not start"
  reset
fi
echo "tenure: no slot boots any more; see docs/operate/boot"
if test -n "${tenure_rescue}"; then run tenure_rescue; fi
