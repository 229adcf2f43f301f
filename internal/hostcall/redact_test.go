package hostcall

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestRedactedForms lets a host repeat a credential in the forms in which hosts do.
func TestRedactedForms(t *testing.T) {
	const token = `s3cr3t/Tök&n+"42"`
	basic := base64.StdEncoding.EncodeToString([]byte("robot:hunter2-hunter2"))
	escaped := func(text string) string {
		var out strings.Builder
		for _, r := range text {
			_, _ = fmt.Fprintf(&out, `\u%04x`, r)
		}
		return out.String()
	}
	quoted := func(text string) string {
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for name, body := range map[string]string{
		"Raw":            `{"echo":` + quoted("Bearer "+token) + `}`,
		"Text":           "you sent Bearer " + token,
		"Escaped":        `{"echo":"` + escaped(token) + `"}`,
		"Key":            `{"` + escaped(token) + `":1}`,
		"EscapedText":    `you sent ` + escaped(token),
		"InsideJSON":     `{"echo":` + quoted(`{"token":"`+escaped(token)+`"}`) + `}`,
		"URL":            `{"echo":` + quoted("/a?token="+url.QueryEscape(token)) + `}`,
		"Path":           `{"echo":` + quoted("/a/"+url.PathEscape(token)+"/b") + `}`,
		"HTML":           `<b>s3cr3t/T&#246;k&amp;n+&quot;42&quot;</b>`,
		"Base64":         `{"echo":"` + base64.StdEncoding.EncodeToString([]byte(token)) + `"}`,
		"Base64URL":      `{"echo":"` + base64.RawURLEncoding.EncodeToString([]byte(token)) + `"}`,
		"Base64OfHeader": `{"echo":"` + base64.StdEncoding.EncodeToString([]byte("Authorization: Bearer "+token)) + `"}`,
		"Base64Twice":    `{"echo":"` + base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(token)))) + `"}`,
		"Hex":            `{"echo":"` + hex.EncodeToString([]byte("x"+token)) + `"}`,
		"Upper":          `{"echo":` + quoted(strings.ToUpper(token)) + `}`,
		"Pieces":         `{"echo":["s3cr3t/","Tök&n+","\"42\""]}`,
		"Basic":          `{"echo":"Basic ` + basic + `"}`,
		"BasicDecoded":   `{"user":"robot","password":"hunter2-hunter2"}`,
		"Number":         `{"pin":70031337}`,
	} {
		t.Run(name, func(t *testing.T) {
			answer := &http.Response{StatusCode: 200, Header: http.Header{"Location": {"/a?token=" + url.QueryEscape(token)}}}
			got := readAnswer(answer, []byte(body), []string{token, basic, "70031337"})
			text := fmt.Sprint(got)
			if !strings.Contains(fmt.Sprint(got["body"]), hidden) {
				t.Errorf("it is not hidden: %s", text)
			}
			if location := fmt.Sprint(got["headers"]); !strings.Contains(location, hidden) {
				t.Errorf("a header repeats it: %s", location)
			}
			for _, part := range []string{token, "s3cr3t", "hunter2", basic, "70031337"} {
				if strings.Contains(text, part) {
					t.Errorf("%q is still in it: %s", part, text)
				}
			}
		})
	}
}

// TestNotRedacted: what has nothing to do with a credential stays as it is.
func TestNotRedacted(t *testing.T) {
	body := `{"id":"a/b","count":3,"ratio":1.5,"list":["x","y",null],"text":"100% \\u0041 &amp; aGVsbG8gd29ybGQ=","none":null,"deep":{"a":[{"b":true}]}}`
	answer := &http.Response{StatusCode: 201, Header: http.Header{"Location": {"/a?b=c"}}}
	with := fmt.Sprint(readAnswer(answer, []byte(body), []string{"s3cr3t-token"}))
	without := fmt.Sprint(readAnswer(answer, []byte(body), nil))
	if with != without {
		t.Errorf("got\n%s, want\n%s", with, without)
	}
}

// TestRedactedIsBounded: an answer that could be decoded without end is hidden.
func TestRedactedIsBounded(t *testing.T) {
	text := strings.Repeat(`%25\\u0025&amp;amp;QUFBQUFB`, MaxAnswer/32)
	for range 3 {
		text = base64.StdEncoding.EncodeToString([]byte(text))[:MaxAnswer/2]
	}
	r := newRedactor([]string{"s3cr3t-token"})
	for range 64 {
		r.text(text)
	}
	if got := r.text("harmless"); got != hidden || r.left > 0 {
		t.Errorf("it is looked through for ever: %d left, %q", r.left, got)
	}
}

// FuzzRedacted: a text that is redacted holds no credential, and nothing breaks.
func FuzzRedacted(f *testing.F) {
	f.Add("s3cr3t-token", `{"a":"\u0073"}`)
	f.Add("s3cr3t-token", "%73%33czNjcjN0LXRva2Vu&#115;")
	f.Fuzz(func(t *testing.T, secret, text string) {
		if len(secret) < leastPart || strings.Contains(hidden, secret) || strings.ContainsAny(secret, "()") {
			return // it would not be told from what stands for it
		}
		if got := newRedactor([]string{secret}).text(text + secret + text); strings.Contains(got, secret) {
			t.Errorf("%q is in %q", secret, got)
		}
	})
}
