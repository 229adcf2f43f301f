// Command image writes a container image of one static program, as `docker save` would, without Docker: for `ctr images import`,
// `docker load` and `podman load`.
//
//	go run ./hack/image -name NAME:TAG [-name …] -out FILE [-certificates FILE] PROGRAM
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("image", flag.ExitOnError)
	image := &image{Architecture: runtime.GOARCH}
	flags.Func("name", "a name of the image, with its tag; may be given several times", func(name string) error {
		image.Names = append(image.Names, name)
		return nil
	})
	out := flags.String("out", "", "the file to write")
	certificates := flags.String("certificates", "", "whom the image trusts when it calls others; empty: nobody")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("failed to read the flags: %w", err)
	}
	if len(image.Names) == 0 || *out == "" || flags.NArg() != 1 {
		return errors.New("usage: image -name NAME:TAG [-name …] -out FILE [-certificates FILE] PROGRAM")
	}
	if err := image.add(flags.Arg(0), filepath.Base(flags.Arg(0)), 0o755); err != nil {
		return err
	}
	if *certificates != "" {
		if err := image.add(*certificates, "etc/ssl/certs/ca-certificates.crt", 0o644); err != nil {
			return err
		}
	}
	return image.write(*out)
}
