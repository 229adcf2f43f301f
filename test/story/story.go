// Package story reads and plays stories: what people type at a cluster, and what they must then read.
package story

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// FileName is the name of a story in its folder.
const FileName = "story.yaml"

// maxSize bounds a story, so that a stray file is refused and not read.
const maxSize = 1 << 20

// Story is what happens, scene by scene.
type Story struct {
	// Title is one line for people.
	Title string `yaml:"title"`
	// About tells in a few lines what the story shows.
	About string `yaml:"about,omitempty"`
	// People are those who type, by the name that steps use.
	People map[string]Person `yaml:"people"`
	// Scenes are played in this order.
	Scenes []Scene `yaml:"scenes"`
}

// Person is a login.
type Person struct {
	// User is the user name that the API server sees.
	User string `yaml:"user,omitempty"`
	// Groups are the groups of the login.
	Groups []string `yaml:"groups,omitempty"`
	// ServiceAccount is a machine instead of a user, as "namespace/name": it has a token of that ServiceAccount. Namespace and ServiceAccount
	// are made where they are not there.
	ServiceAccount string `yaml:"serviceAccount,omitempty"`
	// Administrator binds the login to cluster-admin. It is no member of system:masters, so RBAC and webhooks see it.
	Administrator bool `yaml:"administrator,omitempty"`
}

// Scene is one thing that is shown.
type Scene struct {
	// Title is one line for people.
	Title string `yaml:"title"`
	// About tells in a few lines what to look at.
	About string `yaml:"about,omitempty"`
	// Steps are played in this order, also after one that differs.
	Steps []Step `yaml:"steps"`
}

// Step is one command line and what it must answer.
type Step struct {
	// Say is told to the reader before the command.
	Say string `yaml:"say,omitempty"`
	// As is who types. Unset: somebody with one kubeconfig that holds a context for everybody, as a reader has it.
	As string `yaml:"as,omitempty"`
	// Run is the command line, as a shell reads it. {{name}} stands for what an earlier step saved.
	Run string `yaml:"run"`
	// Expect is what the command must answer. Unset: it succeeds.
	Expect Expectation `yaml:"expect,omitempty"`
	// Eventually repeats the command until it answers as expected, for so long. Unset: it is run once.
	Eventually Duration `yaml:"eventually,omitempty"`
	// Show is how many lines of the output readers are shown; the others are counted. Unset: all.
	Show int `yaml:"show,omitempty"`
	// Save keeps parts of the standard output, by name: the first group of a regular expression.
	Save map[string]Capture `yaml:"save,omitempty"`
}

// Load reads the story of a folder.
func Load(dir string) (*Story, error) {
	path := filepath.Join(dir, FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read the story: %w", err)
	}
	s, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("failed to parse %s: %w", path, err)
	}
	return s, nil
}

// Parse reads a story and refuses whatever it does not know.
func Parse(data []byte) (*Story, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("a story has at most %d bytes", maxSize)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	s := &Story{}
	if err := decoder.Decode(s); err != nil {
		return nil, fmt.Errorf("failed to decode the story: %w", err)
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("a file holds one story: there is a second document")
	}
	return s, s.check()
}

// check refuses what could not be played. It finds every mistake at once.
func (s *Story) check() error {
	c := &checker{people: s.People, saved: map[string]bool{}}
	c.need(s.Title != "", "title", "is needed")
	for name, person := range s.People {
		at := "people." + name
		c.need(nameForm.MatchString(name), at, "a name has small letters, digits and dashes")
		c.need((person.User == "") != (person.ServiceAccount == ""), at, "exactly one of user and serviceAccount is needed")
		c.need(person.ServiceAccount == "" || accountForm.MatchString(person.ServiceAccount), at+".serviceAccount", "is written as namespace/name")
	}
	c.need(len(s.Scenes) > 0, "scenes", "at least one is needed")
	for i := range s.Scenes {
		at := fmt.Sprintf("scenes[%d]", i)
		c.need(s.Scenes[i].Title != "", at+".title", "is needed")
		c.need(len(s.Scenes[i].Steps) > 0, at+".steps", "at least one is needed")
		for j := range s.Scenes[i].Steps {
			c.step(&s.Scenes[i].Steps[j], fmt.Sprintf("%s.steps[%d]", at, j))
		}
	}
	return errors.Join(c.errs...)
}

var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	accountForm = regexp.MustCompile(`^[a-z][a-z0-9-]*/[a-z][a-z0-9-]*$`)
	placeholder = regexp.MustCompile(`\{\{([a-z][a-z0-9-]*)\}\}`)
)

// checker walks a story in the order in which it is played.
type checker struct {
	people map[string]Person
	saved  map[string]bool
	errs   []error
}

func (c *checker) need(is bool, at, message string) {
	if !is {
		c.errs = append(c.errs, fmt.Errorf("%s: %s", at, message))
	}
}

func (c *checker) step(s *Step, at string) {
	_, known := c.people[s.As]
	c.need(s.As == "" || known, at+".as", fmt.Sprintf("there is nobody called %q in people", s.As))
	c.need(s.Run != "", at+".run", "is needed")
	c.need(s.Show >= 0, at+".show", "is a number of lines")
	c.uses(s.Run, at+".run")
	for _, matchers := range [][]Matcher{s.Expect.Stdout, s.Expect.Stderr} {
		for i := range matchers {
			c.uses(matchers[i].text(), at+".expect")
		}
	}
	for name := range s.Save {
		c.need(nameForm.MatchString(name), at+".save", fmt.Sprintf("%q: a name has small letters, digits and dashes", name))
		c.saved[name] = true
	}
}

// uses refuses names that no earlier step saved.
func (c *checker) uses(text, at string) {
	for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
		c.need(c.saved[match[1]], at, fmt.Sprintf("no earlier step saved %q", match[1]))
	}
}
