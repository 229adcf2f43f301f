package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// contentType is what the form of a body is called in a header.
func contentType(w *v1alpha1.WebhookChannel) string {
	if w.ContentType == v1alpha1.BodyForm {
		return "application/x-www-form-urlencoded"
	}
	return "application/json"
}

// filled is what is sent to a host: the content of the message, with what is in Secrets and in the form that the host takes. Nothing keeps it: a message
// that waits, and what status says of it, know the content only.
func (c *call) filled(ctx context.Context, host string) ([]byte, error) {
	w := c.message.Channel.Webhook
	if w == nil || len(w.BodySecrets) == 0 && w.ContentType != v1alpha1.BodyForm {
		return c.message.Content, nil
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(c.message.Content, &members); err != nil || members == nil {
		return nil, &FinalError{errors.New("body is no object")}
	}
	for i := range w.BodySecrets {
		value, err := c.bodySecret(ctx, &w.BodySecrets[i].Secret, host)
		if err != nil {
			return nil, err
		}
		members[w.BodySecrets[i].Field] = value
	}
	if w.ContentType == v1alpha1.BodyForm {
		return form(members)
	}
	return json.Marshal(members)
}

// bodySecret is what is in a Secret, as JSON.
func (c *call) bodySecret(ctx context.Context, key *v1alpha1.SecretKey, host string) (json.RawMessage, error) {
	value, err := c.secretFor(ctx, key, host)
	if err != nil {
		return nil, err
	}
	if !utf8.ValidString(value) {
		return nil, fmt.Errorf("what is in key %q of Secret %s is no text", key.Key, key.Name)
	}
	return json.Marshal(value)
}

// form writes members as a form does: texts as they are, and everything else as JSON.
func form(members map[string]json.RawMessage) ([]byte, error) {
	values := url.Values{}
	for name, member := range members {
		var value any
		if err := json.Unmarshal(member, &value); err != nil {
			return nil, &FinalError{errors.New("body is no object")}
		}
		text, ok := value.(string)
		if !ok {
			text = string(member)
		}
		values.Set(name, text)
	}
	return []byte(values.Encode()), nil
}
