package peers

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"net/http"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"

	"github.com/signoff-dev/signoff/test/receivers"
)

// The names that examples write for a chat, a bus and a mail server, and the password of the last.
const (
	chatHost     = "hooks.slack.com"
	busHost      = "events.example.org"
	mailHost     = "smtp.example.org"
	mailPassword = "secret-of-the-mail"
)

// post stands in for a chat (Slack: "Sending messages using incoming webhooks") and for a bus that takes CloudEvents. It keeps what arrives, and shows it together
// with what has arrived at the mail server: at /chat, /events and /mail/<address>.
type post struct {
	mail *receivers.Mail

	mu      sync.Mutex
	arrived map[string][]string
}

func newPost(mail *receivers.Mail) *post { return &post{mail: mail, arrived: map[string][]string{}} }

// ServeHTTP implements http.Handler.
func (p *post) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	box := r.URL.Path
	if strings.HasPrefix(box, "/services/") {
		box = "/chat"
	}
	switch address, isMail := strings.CutPrefix(box, "/mail/"); {
	case r.Method == http.MethodPost && (box == "/chat" || box == "/events"):
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.arrived[box] = append(p.arrived[box], string(body))
		_, _ = io.WriteString(w, "ok")
	case r.Method == http.MethodGet && isMail:
		_, _ = io.WriteString(w, p.letters(address))
	case r.Method == http.MethodGet:
		p.mu.Lock()
		defer p.mu.Unlock()
		_, _ = io.WriteString(w, strings.Join(p.arrived[box], "\n")+"\n")
	default:
		http.Error(w, "not here", http.StatusNotFound)
	}
}

// letters are what somebody has got, as they read it.
func (p *post) letters(address string) string {
	var text strings.Builder
	for _, letter := range p.mail.Letters() {
		if !slices.Contains(letter.To, address) {
			continue
		}
		message, err := netmail.ReadMessage(strings.NewReader(letter.Text))
		if err != nil {
			text.WriteString(err.Error())
			continue
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
		if err != nil {
			subject = err.Error()
		}
		body := message.Body
		if message.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(body)
		}
		read, _ := io.ReadAll(body)
		text.WriteString("Subject: " + subject + "\n" + strings.ReplaceAll(string(read), "\r\n", "\n") + "\n")
	}
	return text.String()
}
