#!/bin/sh
# End every container that the kubelet had started, and unmount what it had mounted for them.
set -u
case $1 in
  containerd)
    for task in $(ctr --namespace k8s.io tasks list --quiet); do
      ctr --namespace k8s.io tasks kill --signal SIGKILL "$task" && echo removed
    done
    sleep 1
    for container in $(ctr --namespace k8s.io containers list --quiet); do
      ctr --namespace k8s.io tasks delete --force "$container" 2>/dev/null
      ctr --namespace k8s.io containers delete "$container" && echo removed
    done
    ;;
  crio)
    crictl rmp --all --force && echo removed
    ;;
esac
awk '$2 ~ "^/var/lib/kubelet/" { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do
  umount "$mount" && echo removed
done
left=$(awk '$2 ~ "^/var/lib/kubelet/" { print $2 }' /proc/self/mounts)
if [ -n "$left" ]; then
  echo "still mounted, so nothing below /var/lib/kubelet is removed: $left" >&2
  exit 1
fi
rm -rf --one-file-system /var/lib/kubelet/pods /var/lib/cni
for link in cni0 flannel.1; do
  ip link delete "$link" 2>/dev/null && echo removed
done
exit 0
