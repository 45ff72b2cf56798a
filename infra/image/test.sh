#!/usr/bin/env bash
# Builds the image from a local Debian base and runs a worker from it against embedded servers.
# Needs root for debootstrap and apt; the base is kept between runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=localhost/base:bookworm
image=localhost/headrace:test
cache=${HEADRACE_IMAGE_CACHE:-/var/tmp/headrace-image}
certificates=/etc/ssl/certs/ca-certificates.crt
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot

missing=()
for tool in debootstrap podman buildah runc; do
  command -v "$tool" > /dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
  if ((EUID)); then
    echo "image-test needs ${missing[*]}: install them, or run as root" >&2
    exit 1
  fi
  apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}"
fi

mkdir -p "$cache"
if ! buildah inspect --type image "$base" > /dev/null 2>&1; then
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$cache/root"
  tar -C "$cache/root" -c . | podman import - "$base"
  rm -rf "$cache/root"
fi
buildah bud --isolation chroot --network host --build-arg BASE_IMAGE="$base" \
  --volume "$certificates:$certificates:ro" --tag "$image" --file infra/Dockerfile .
.venv/bin/python infra/image/run_worker.py "$image"
