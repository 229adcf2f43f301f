package playground

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/setup"
)

const (
	inForceTimeout = 30 * time.Second
	askAgain       = 100 * time.Millisecond
)

// inForce waits until the API server asks the webhooks, which it learns of a moment after they were registered: until a
// request for an Action that does not exist is refused as invalid. Nothing but our webhook can know that, and it says so only
// of a request that the mutating pass has stamped.
func (p *Playground) inForce(ctx context.Context) error {
	admin, err := client.New(p.Cluster.Admin, client.Options{Scheme: setup.Scheme()})
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	ask := func(ctx context.Context) error {
		return admin.Create(ctx, &v1alpha1.ActionRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "is-anybody-there"},
			Spec:       v1alpha1.ActionRequestSpec{ActionRef: v1alpha1.ActionReference{Namespace: metav1.NamespaceDefault, Name: "none"}},
		}, client.DryRunAll)
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, askAgain, inForceTimeout, true, func(ctx context.Context) (bool, error) {
		last = ask(ctx)
		return apierrors.IsInvalid(last), nil
	})
	if err != nil {
		return fmt.Errorf("failed to see a request judged: %w", errors.Join(err, last))
	}
	return nil
}
