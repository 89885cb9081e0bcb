# The agent reads there which version runs: set IMAGE_VERSION where you set DISTRO_VERSION.
IMAGE_VERSION ?= "${DISTRO_VERSION}"
OS_RELEASE_FIELDS:append = " IMAGE_VERSION"
