//! The scratch Debian with its own systemd as first process: the unit of the package is started, reloaded,
//! killed by the watchdog and stopped for real.

use std::path::Path;
use std::process::Command;

use super::{Outcome, process, workspace};

/// What there is to do, on whom, and whom it must leave alone.
const UNIT: &str = "[Unit]
Description=Whether the package's unit does what it says
SuccessAction=exit-force
SuccessActionExitStatus=0
FailureAction=exit-force
FailureActionExitStatus=1
[Service]
Type=oneshot
TimeoutStartSec=120
StandardOutput=file:/packages/boot.log
StandardError=inherit
ExecStart=/bin/sh -eux /packages/boot.sh
";

/// Run by that systemd. Each wait is for a condition, and the unit has a limit for all of them.
const CHECK: &str = r"
until_is() { until systemctl show --property=$1 --value ha | grep --quiet $2; do sleep 0.1; done; }
is_not_held() { ! grep --quiet '198\.51\.100\.13$' /proc/net/fib_trie; }
trap 'journalctl --unit=ha --no-pager' EXIT
cat >/etc/ha/ha.conf <<END
vrrp_instance VI_1 {
    interface bond0
    virtual_router_id 133
    priority 100
    virtual_ipaddress {
        198.51.100.13/24
    }
}
END
ha-userspace check
echo 'HA_OPTIONS=--history /var/lib/ha/history' >/etc/default/ha
systemctl start ha
systemctl show --property=StatusText --value ha | grep 'Backup\|Master'
until_is StatusText Master
grep --quiet '198\.51\.100\.13$' /proc/net/fib_trie
ha-userspace status
systemctl reload ha
until journalctl --unit=ha | grep --quiet 'read again'; do sleep 0.1; done
# What the unit forbids must not be what the daemon needs.
if journalctl --unit=ha | grep 'how good its clock'; then exit 1; fi
# One that is stuck is ended by the watchdog, what it has left is removed, and it is started again.
systemctl kill --kill-who=main --signal=STOP ha
until_is NRestarts 1
until journalctl --unit=ha | grep --quiet 'left over'; do sleep 0.1; done
until_is StatusText Master
ha-userspace history
systemctl stop ha
until_is ActiveState inactive
is_not_held
grep --quiet MASTER /var/lib/ha/history
";

/// Makes the systemd in the directory `$0` the first process of a host of its own, whose bond0 has
/// nobody at the other end; its exit code is what the check says. Its log is its own: what a check before
/// has left there would be taken for what this one waits for.
const BOOT: &str = r"
root=$0
cgroups=$(findmnt --noheadings --output TARGET --types cgroup2 | head --lines=1)
test -n $cgroups || { echo 'no cgroup2 is mounted: mount one'; exit 1; }
own=$cgroups/ha-dist-$$
mkdir $own
end() { find $own -depth -type d -exec rmdir {} +; }
trap end EXIT
(
    sh -c 'echo $PPID' >$own/cgroup.procs
    exec timeout --kill-after=5 180 unshare --fork --pid --kill-child --mount --cgroup --net --ipc --uts sh -ec '
        mount --make-rprivate /
        mount --bind $0 $0
        mount -t proc proc $0/proc
        mount -t sysfs -o ro sysfs $0/sys
        mount -t cgroup2 cgroup2 $0/sys/fs/cgroup
        for place in run tmp dev var/log; do mount -t tmpfs -o mode=755 tmpfs $0/$place; done
        for device in null zero full random urandom tty; do
            touch $0/dev/$device
            mount --bind /dev/$device $0/dev/$device
        done
        mkdir $0/dev/pts $0/dev/shm
        mount -t devpts -o newinstance devpts $0/dev/pts
        ip link set lo up
        ip link add bond0 type veth peer name other
        ip link set bond0 up
        ip link set other up
        ip address add 198.51.100.10/24 dev bond0
        exec chroot $0 env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
            --unit=ha-check.service --show-status=no --log-target=null
    ' $root
)
";

/// Boots the Debian in `root`, in which the package is installed.
pub(super) fn check(root: &Path) -> Outcome {
    let packages = root.join("packages");
    workspace::write(&packages.join("boot.sh"), CHECK.as_bytes())?;
    workspace::write(&root.join("etc/systemd/system/ha-check.service"), UNIT.as_bytes())?;
    let log = packages.join("boot.log");
    workspace::write(&log, b"")?;
    let mut command = Command::new("sh");
    command.args(["-ec", BOOT]).arg(root);
    let outcome = process::run(&mut command, "running the unit by a systemd of its own");
    if outcome.is_err() {
        println!("{}", String::from_utf8_lossy(&workspace::read(&log)?));
    }
    outcome
}
