package playground

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/story"
)

// People gives logins to the people of stories.
type People struct {
	// Cluster is where they log in.
	Cluster *env.Cluster
	// Dir is where their kubeconfigs are.
	Dir string
}

// Kubeconfigs writes a file for each person, and under the empty name one with a context for everybody.
func (p *People) Kubeconfigs(ctx context.Context, all map[string]story.Person) (map[string]string, error) {
	dir, err := os.MkdirTemp(p.Dir, "story-")
	if err != nil {
		return nil, fmt.Errorf("failed to make a folder for kubeconfigs: %w", err)
	}
	everybody := clientcmdapi.NewConfig()
	files := map[string]string{"": filepath.Join(dir, "kubeconfig")}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		person := all[name]
		login, err := p.login(ctx, &person)
		if err != nil {
			return nil, err
		}
		files[name] = filepath.Join(dir, name+".kubeconfig")
		own := clientcmdapi.NewConfig()
		for _, config := range []*clientcmdapi.Config{own, everybody} {
			add(config, name, login)
		}
		own.CurrentContext = name
		if err := clientcmd.WriteToFile(*own, files[name]); err != nil {
			return nil, fmt.Errorf("failed to write the kubeconfig of %s: %w", name, err)
		}
	}
	if err := clientcmd.WriteToFile(*everybody, files[""]); err != nil {
		return nil, fmt.Errorf("failed to write the kubeconfig of everybody: %w", err)
	}
	return files, nil
}

// login gives the credentials of a person, and the rights of an administrator where the story says so. All other rights come
// from what the story applies.
func (p *People) login(ctx context.Context, person *story.Person) (*rest.Config, error) {
	if namespace, name, is := strings.Cut(person.ServiceAccount, "/"); is {
		if err := p.Cluster.Apply(ctx, fmt.Appendf(nil, "{apiVersion: v1, kind: Namespace, metadata: {name: %s}}", namespace)); err != nil {
			return nil, err
		}
		return p.Cluster.ServiceAccount(ctx, namespace, name)
	}
	login, err := p.Cluster.User(person.User, person.Groups...)
	if err != nil {
		return nil, err
	}
	if person.Administrator {
		return login, p.Cluster.Grant(ctx, "cluster-admin", "", env.ToUser(person.User))
	}
	return login, nil
}

func add(config *clientcmdapi.Config, name string, login *rest.Config) {
	const cluster = "playground"
	config.Clusters[cluster] = &clientcmdapi.Cluster{Server: login.Host, CertificateAuthorityData: login.CAData}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: login.CertData, ClientKeyData: login.KeyData, Token: login.BearerToken}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: name}
}
