package main

import (
	"io"

	"github.com/signoff-dev/signoff/test/story"
)

// narrator prints stories one after the other, and says which scene has begun.
type narrator struct {
	*story.Printer
	scenes int
	// began is told the title of the scene, where somebody wants to know it.
	began func(title string)
}

var _ story.Narrator = (*narrator)(nil)

func newNarrator(to io.Writer) *narrator {
	return &narrator{Printer: &story.Printer{To: to}}
}

// Scene counts through all stories.
func (n *narrator) Scene(_ int, scene *story.Scene) {
	n.scenes++
	if n.began != nil {
		n.began(scene.Title)
	}
	n.Printer.Scene(n.scenes, scene)
}
