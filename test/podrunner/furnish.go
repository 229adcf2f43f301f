package podrunner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// defaultUser runs containers that name no user.
const defaultUser = 65532

// defaultGrace is how long a container has to end, where its Pod does not say so.
const defaultGrace = 30 * time.Second

// supported refuses Pods that would run otherwise than on a real node.
func supported(pod *corev1.Pod) error {
	var errs []error
	refuse := func(is bool, what string) {
		if is {
			errs = append(errs, fmt.Errorf("this node knows no %s", what))
		}
	}
	refuse(len(pod.Spec.Containers) != 1 || len(pod.Spec.InitContainers) > 0, "Pod with more than one container")
	container := &pod.Spec.Containers[0]
	refuse(pod.Spec.RestartPolicy != corev1.RestartPolicyNever, "restartPolicy but Never")
	refuse(container.LivenessProbe != nil || container.ReadinessProbe != nil || container.StartupProbe != nil, "probes")
	refuse(container.Lifecycle != nil, "lifecycle hooks")
	for i := range container.VolumeMounts {
		refuse(container.VolumeMounts[i].SubPath != "" || container.VolumeMounts[i].SubPathExpr != "", "subPath")
	}
	return errors.Join(errs...)
}

func userOf(pod *corev1.Pod) int {
	user := int64(defaultUser)
	if c := pod.Spec.SecurityContext; c != nil && c.RunAsUser != nil {
		user = *c.RunAsUser
	}
	if c := pod.Spec.Containers[0].SecurityContext; c != nil && c.RunAsUser != nil {
		user = *c.RunAsUser
	}
	return int(user)
}

func graceOf(pod *corev1.Pod) time.Duration {
	if seconds := pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return defaultGrace
}

func commandOf(container *corev1.Container, image Image) []string {
	command := container.Command
	if len(command) == 0 {
		command = image.Entrypoint
	}
	return append(append([]string{}, command...), container.Args...)
}

// furnish makes the root directory of a Pod: the image, a few files that every container has, and the volumes.
func (n *Node) furnish(ctx context.Context, pod *corev1.Pod, image Image, root string, user int) error {
	if err := link(image.Dir, root); err != nil {
		return err
	}
	container := &pod.Spec.Containers[0]
	// Programs open /dev/null to read nothing from it; an empty file does.
	for _, path := range []string{os.DevNull, cmp.Or(container.TerminationMessagePath, corev1.TerminationMessagePathDefault)} {
		if err := write(filepath.Join(root, path), nil, user); err != nil {
			return err
		}
	}
	for i := range container.VolumeMounts {
		mount := &container.VolumeMounts[i]
		files, err := n.volume(ctx, pod, mount.Name)
		if err != nil {
			return fmt.Errorf("volume %s: %w", mount.Name, err)
		}
		at := filepath.Join(root, mount.MountPath)
		if err := errors.Join(os.MkdirAll(at, 0o755), give(at, user)); err != nil {
			return fmt.Errorf("failed to make volume %s: %w", mount.Name, err)
		}
		for name, content := range files {
			if err := write(filepath.Join(at, name), content, user); err != nil {
				return err
			}
		}
	}
	return nil
}

// link makes a folder like another one, of the same files. They belong to whoever runs the tests, so a Pod of another user cannot write them.
func link(from, to string) error {
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, relative), 0o755)
		}
		return os.Link(path, filepath.Join(to, relative))
	})
	if err != nil {
		return fmt.Errorf("failed to make a root directory of %s: %w", from, err)
	}
	return nil
}

func write(path string, content []byte, user int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("failed to make a folder of a Pod: %w", err)
	}
	if err := errors.Join(os.WriteFile(path, content, 0o600), give(path, user)); err != nil {
		return fmt.Errorf("failed to write a file of a Pod: %w", err)
	}
	return nil
}

// give makes a file somebody's. Who is not root can give nothing away, and need not: the process then runs as they do.
func give(path string, user int) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, user, user)
}
