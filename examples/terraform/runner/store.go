package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// planKey is the key of the plan file in its Secret.
const planKey = "plan"

// jobOf is the Job that the Pod belongs to, as its environment says. What the Job has kept goes with it.
func jobOf() []metav1.OwnerReference {
	name, uid := os.Getenv("JOB"), os.Getenv("JOB_UID")
	if name == "" || uid == "" {
		return nil
	}
	return []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: name, UID: types.UID(uid)}}
}

// keep stores a plan file, and gives its digest. A plan may hold secrets, so it is kept as one.
func keep(ctx context.Context, secrets corev1client.SecretInterface, file []byte, owners []metav1.OwnerReference) (string, error) {
	digest := digestOf(file)
	immutable := true
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretOf(digest), OwnerReferences: owners},
		Data:       map[string][]byte{planKey: file},
		Immutable:  &immutable,
	}
	if _, err := secrets.Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("failed to keep the plan file: %w", err)
	}
	return digest, nil
}

// take gives the plan file with this digest, or says that there is none. It is believed for its digest only: who wrote the Secret, and when, does not
// matter.
func take(ctx context.Context, secrets corev1client.SecretInterface, digest string) ([]byte, error) {
	name := secretOf(digest)
	secret, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("the plan is gone: there is no Secret %s any more", name)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to fetch the plan: %w", err)
	}
	file := secret.Data[planKey]
	if got := digestOf(file); got != digest {
		return nil, fmt.Errorf("the plan in Secret %s is not the one that was agreed to: its digest is %s, and %s was approved", name, got, digest)
	}
	return file, nil
}

const algorithm = "sha256:"

func digestOf(file []byte) string {
	sum := sha256.Sum256(file)
	return algorithm + hex.EncodeToString(sum[:])
}

// secretOf is the name of the Secret of a plan: a part of its digest, so that no plan takes the place of another.
func secretOf(digest string) string {
	const length = 32
	hash := strings.TrimPrefix(digest, algorithm)
	return "plan-" + hash[:min(len(hash), length)]
}
