package playground

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/podrunner"
)

// terraformImage is the image of examples/terraform.
const terraformImage = "registry.example/bucket-terraform:1"

// join starts a node that runs what is in the images of examples.
func (p *Playground) join(ctx context.Context) (err error) {
	if !p.options.Node {
		return nil
	}
	dir := filepath.Join(p.Cluster.Dir, "node")
	image := filepath.Join(dir, "images", "bucket-terraform")
	if err := p.terraformImage(ctx, image); err != nil {
		return err
	}
	p.node, err = podrunner.Start(ctx, p.Cluster, podrunner.Options{Dir: dir, Images: map[string]podrunner.Image{
		terraformImage: {Dir: image, Entrypoint: []string{"/usr/local/bin/runner"}},
	}})
	return err
}

// terraformImage makes what examples/terraform/Dockerfile does.
func (p *Playground) terraformImage(ctx context.Context, dir string) error {
	terraform, err := assets.FindTerraform(p.Root)
	if err != nil {
		return err
	}
	example, programs := filepath.Join(p.Root, "examples", "terraform"), filepath.Join(dir, "usr", "local", "bin")
	if err := p.compile(ctx, "./examples/terraform/runner", filepath.Join(programs, "runner")); err != nil {
		return err
	}
	program, err := os.ReadFile(terraform)
	err = errors.Join(err, os.WriteFile(filepath.Join(programs, "terraform"), program, 0o755), os.CopyFS(filepath.Join(dir, "module"), os.DirFS(filepath.Join(example, "bucket"))))
	if err != nil {
		return fmt.Errorf("failed to make image %s: %w", terraformImage, err)
	}
	return nil
}
