package crash

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
)

// reason is what a person wrote, and no log shows.
const reason = "words of a person that no log shows"

// checkLogged reads what the process logged over all its lives: JSON, with the keys by which a request is found, and nothing that people wrote.
func (w *world) checkLogged() {
	file, err := os.Open(w.log)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines, about := bufio.NewScanner(file), 0
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Level, Msg, Namespace, Name, Controller string
			ReconcileID                             string
			TS                                      any
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Level == "" || line.TS == nil || line.Msg == "" {
			w.Errorf("a line that is no JSON, or lacks level, ts or msg: %v: %s", err, lines.Text())
		}
		if strings.Contains(lines.Text(), reason) {
			w.Errorf("it shows what somebody wrote: %s", lines.Text())
		}
		if line.ReconcileID == "" || line.Controller != "actionrequest" {
			continue
		}
		about++
		if line.Name == "" || line.Namespace == "" {
			w.Errorf("a line about a request does not say about which: %s", lines.Text())
		}
	}
	if lines.Err() != nil || about == 0 {
		w.Errorf("%d lines are about requests: %v", about, lines.Err())
	}
}
