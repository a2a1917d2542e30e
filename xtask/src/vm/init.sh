#!/bin/busybox sh
# The first process in the virtual machine: makes it look like a machine, runs the jobs, tells how they ended.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount() { /bin/busybox mount "$@"; }

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd

stty raw -echo </dev/ttyS1
exec </dev/null >/dev/ttyS1 2>&1
. /settings

ulimit -n 20000
hostname vm
ip link set lo up
# Where they were loaded the tunnels' modules add an interface of their own to every namespace that is made.
echo "$FALLBACK_TUNNELS" >/proc/sys/net/core/fb_tunnels_only_for_init_net
# No kernel loads these by itself: what they are needed for names no module.
modprobe -a tun mpls_router mpls_iptunnel
chmod 666 /dev/net/tun

export HOME=/root USER=root TMPDIR=/tmp SHELL=/bin/sh
# A processor that software emulates, on a machine that has other work too, is slow.
export VNET_TESTNS_TIMEOUT=300
# Many tests wait for a while: one processor can do with more than one of them.
export RUST_TEST_THREADS=3
export VNET_TESTNS_VM=1 VNET_TESTNS_NO_SKIP=1 VNET_TESTNS_SKIPS=/run/skips
export INSTA_UPDATE=no INSTA_WORKSPACE_ROOT="$WORKSPACE"

# job NAME FOLDER COMMAND …
job() {
  echo "@@begin $1"
  name=$1
  cd "$2" || cd /
  export CARGO_MANIFEST_DIR=$2
  shift 2
  /usr/bin/timeout -k 5 "$JOB_LIMIT" "$@"
  # At the beginning of a line, whatever was printed.
  code=$?
  echo
  echo "@@end $code $name"
}

echo '@@ready'
. /jobs
[ -e /run/skips ] && sed 's/^/@@skip /' /run/skips
echo '@@done'
poweroff -f
