#!/usr/bin/env bash
# Builds the image from a base made on this machine, then runs a worker from it against the embedded
# servers. Debian, as root; needs no image registry and no container daemon. `make image-test`.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly SUITE=bookworm
readonly BASE=localhost/base:$SUITE
readonly IMAGE=localhost/headrace:test
readonly PACKAGES=(debootstrap podman buildah runc)
# python3-distutils: debootstrap does not see that it provides what python3.11-venv needs.
readonly BASE_PACKAGES=ca-certificates,python3.11,python3.11-venv,python3-distutils
readonly CACHE=${HEADRACE_IMAGE_CACHE:-/var/cache/headrace-image}
# Set by choose_store.
STORE=() LAYERS=()
# Seconds; each some times what a machine with two busy cores took.
readonly INSTALL_S=600 BASE_S=900 BUILD_S=1500 RUN_S=900

say() { printf '\n== %s\n' "$*"; }

fail() {
  printf 'image-test: %s\n' "$*" >&2
  exit 1
}

# Nobody else's work should wait for a build.
bounded() { timeout --kill-after=30 "$1" nice -n 10 "${@:2}"; }

require_tools() {
  local missing=()
  for package in "${PACKAGES[@]}"; do
    # /usr/sbin is not on everyone's path
    PATH=$PATH:/usr/sbin command -v "$package" >/dev/null || missing+=("$package")
  done
  ((${#missing[@]} == 0)) && return
  [[ $EUID == 0 ]] || fail "missing ${missing[*]}; install them (apt-get install ${missing[*]})"
  command -v apt-get >/dev/null || fail "missing ${missing[*]}, and there is no apt-get here"
  say "installing ${missing[*]}"
  bounded "$INSTALL_S" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive bounded "$INSTALL_S" \
    apt-get install -qq -y --no-install-recommends "${missing[@]}"
}

# A store of our own, so that nothing of this machine's other containers is touched. Where the kernel
# cannot overlay (in some sandboxes), vfs does, by copying: slower, and each kept layer whole.
choose_store() {
  local trial driver=vfs
  trial=$(mktemp -d "$CACHE/trial.XXXXXX")
  mkdir "$trial"/{lower,upper,work,merged}
  if mount -t overlay overlay "$trial/merged" \
    -o "lowerdir=$trial/lower,upperdir=$trial/upper,workdir=$trial/work" 2>/dev/null; then
    umount "$trial/merged"
    driver=overlay
    LAYERS=(--layers)
  fi
  rm -rf "$trial"
  STORE=(--storage-driver "$driver" --root "$CACHE/$driver" --runroot "$CACHE/$driver-run")
  say "images are kept in $CACHE/$driver"
}

# The archive this machine takes its own packages from.
mirror() {
  # shellcheck disable=SC2016  # apt expands it
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CREATED_BY) $(ORIGIN)' |
    awk -v suite="$SUITE" '$2 == suite && $3 == "Packages" && $4 == "Debian" && !n++ { print $1 }'
}

make_base() {
  if podman "${STORE[@]}" image exists "$BASE"; then
    say "base $BASE is there from an earlier run"
    return
  fi
  say "making $BASE with debootstrap"
  local archive rootfs=$CACHE/rootfs log=$CACHE/debootstrap.log
  archive=$(mirror)
  [[ -n $archive ]] || fail "apt knows no archive of Debian $SUITE; this runs on Debian $SUITE"
  rm -rf "$rootfs"
  mkdir -p "$CACHE/debs"
  bounded "$BASE_S" debootstrap --variant=minbase --include="$BASE_PACKAGES" \
    --cache-dir="$CACHE/debs" "$SUITE" "$rootfs" "$archive" >"$log" 2>&1 ||
    fail "debootstrap failed: $(tail -n 3 "$log"); the whole log: $log"
  # What names this machine's network, and what nobody needs, stays out of the image.
  : >"$rootfs/etc/apt/sources.list"
  rm -rf "$rootfs"/var/{cache/apt,lib/apt/lists,log}/* "$rootfs"/usr/share/{doc,man,locale}/* \
    "$rootfs"/etc/{resolv.conf,hostname}
  tar --create --directory "$rootfs" --exclude=./dev/\* --exclude=./proc/\* --exclude=./sys/\* . |
    bounded "$BASE_S" podman "${STORE[@]}" import --quiet - "$BASE"
  rm -rf "$rootfs"
}

build() {
  say "building $IMAGE"
  local secrets=() log=$CACHE/build.log
  [[ -f /etc/pip.conf ]] && secrets+=("--secret=id=pip_conf,src=/etc/pip.conf")
  [[ -f /etc/ssl/certs/ca-certificates.crt ]] &&
    secrets+=("--secret=id=authorities,src=/etc/ssl/certs/ca-certificates.crt")
  # --format docker: the OCI format has no HEALTHCHECK.
  bounded "$BUILD_S" buildah "${STORE[@]}" bud --isolation chroot --network host \
    "${LAYERS[@]}" --format docker --build-arg BASE_IMAGE="$BASE" "${secrets[@]}" \
    --file infra/Dockerfile --tag "$IMAGE" . >"$log" 2>&1 ||
    fail "the build failed: $(tail -n 20 "$log"); the whole log: $log"
  podman "${STORE[@]}" image inspect "$IMAGE" \
    --format 'image {{.Id}}: {{.Size}} bytes, user {{.User}}, entrypoint {{.Config.Entrypoint}}'
}

require_tools
[[ $EUID == 0 ]] || fail "needs root: debootstrap and a store without user namespaces do"
mkdir -p "$CACHE"
choose_store
make_base
build
say "running a worker from it"
bounded "$RUN_S" .venv/bin/python infra/image/run_worker.py --image "$IMAGE" -- \
  podman "${STORE[@]}" --runtime runc --cgroup-manager cgroupfs
# What earlier runs left without a name; the last week's is the cache of the next build.
podman "${STORE[@]}" image prune --force --filter until=168h >/dev/null
