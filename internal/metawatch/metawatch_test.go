package metawatch

import (
	"context"
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
)

// served is an API server that has objects, and gives two at a time.
type served struct {
	metadata.ResourceInterface

	names   []string
	asked   []metav1.ListOptions
	watched []metav1.ListOptions
	events  *watch.FakeWatcher
}

func (s *served) List(_ context.Context, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	s.asked = append(s.asked, options)
	from := 0
	if options.Continue != "" {
		if _, err := fmt.Sscan(options.Continue, &from); err != nil {
			return nil, err
		}
	}
	list := &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
	for _, name := range s.names[from:min(from+2, len(s.names))] {
		list.Items = append(list.Items, *named(name))
	}
	if from+2 < len(s.names) {
		list.Continue = fmt.Sprint(from + 2)
	}
	return list, nil
}

func (s *served) Watch(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
	s.watched = append(s.watched, options)
	return s.events, nil
}

func named(name string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "8"}}
}

// TestRun: what is there is passed on page by page, then what changes; nil stands for one that went, or for none.
func TestRun(t *testing.T) {
	for name, tc := range map[string]struct{ there, want []string }{
		"Pages": {[]string{"a", "b", "c", "d", "e"}, []string{"a", "b", "c", "d", "e", "new", ""}},
		"None":  {nil, []string{"", "new", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			server := &served{names: tc.there, events: watch.NewFakeWithChanSize(2, false)}
			server.events.Add(named("new"))
			server.events.Delete(named("new"))
			var seen []string
			Run(ctx, "test", server, fields.OneTermEqualSelector("x", "y"), func(found *metav1.PartialObjectMetadata) {
				name := ""
				if found != nil {
					name = found.Name
				}
				seen = append(seen, name)
				if len(seen) == len(tc.want) {
					stop()
				}
			})
			if !slices.Equal(seen, tc.want) {
				t.Errorf("seen are %q, want %q", seen, tc.want)
			}
			if pages := max((len(tc.there)+1)/2, 1); len(server.asked) != pages || server.asked[0].Limit != page || server.asked[0].FieldSelector != "x=y" || server.asked[0].ResourceVersion != "" {
				t.Errorf("asked was %+v", server.asked)
			}
			if server.watched[0].ResourceVersion != "7" || server.watched[0].SendInitialEvents != nil || server.watched[0].FieldSelector != "x=y" {
				t.Errorf("watched was %+v", server.watched)
			}
		})
	}
}
