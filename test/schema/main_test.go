// Package schema proves, against a real API server with no webhook installed, that the CRDs of Signoff refuse what they must.
package schema

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

const crdDirectory = "../../config/crd"

// server is the API server that all tests of this package share.
var server struct {
	cluster *env.Cluster
	config  *rest.Config
	// admin is an ordinary administrator, whom RBAC allows everything and whom the API server tells about unknown fields.
	admin client.Client
}

func TestMain(m *testing.M) {
	if err := start(context.Background()); err != nil {
		panic(err)
	}
	defer server.cluster.Stop()
	m.Run()
}

func start(ctx context.Context) (err error) {
	if server.cluster, err = env.Start(ctx, env.Options{CRDs: true}); err != nil {
		return fmt.Errorf("failed to start the API server: %w", err)
	}
	if err := server.cluster.Grant(ctx, "cluster-admin", "", env.ToGroup(env.GroupAdministrators)); err != nil {
		return err
	}
	if server.config, err = server.cluster.User("ada", env.GroupAdministrators); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	c, err := client.New(server.config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	server.admin = client.WithFieldValidation(c, metav1.FieldValidationStrict)
	return nil
}
