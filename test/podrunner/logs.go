package podrunner

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// serve serves what the API server asks a kubelet for when somebody reads a log.
func (n *Node) serve() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.log)
	return httptest.NewTLSServer(mux)
}

// log answers with what a container has printed so far.
func (n *Node) log(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	file := n.logs[r.PathValue("namespace")+"/"+r.PathValue("pod")+"/"+r.PathValue("container")]
	n.mu.Unlock()
	content, err := os.ReadFile(file)
	if err != nil {
		http.Error(w, "there is no log of this container", http.StatusNotFound)
		return
	}
	if lines, err := strconv.Atoi(r.URL.Query().Get("tailLines")); err == nil {
		content = lastLines(content, lines)
	}
	if limit, err := strconv.Atoi(r.URL.Query().Get("limitBytes")); err == nil {
		content = content[:min(limit, len(content))]
	}
	_, _ = w.Write(content)
}

// lastLines is the end of a text.
func lastLines(text []byte, count int) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	return bytes.Join(lines[max(0, len(lines)-count):], nil)
}

// keepLog says where the log of the Pod's container is, and forgetLog removes it.
func (n *Node) keepLog(pod *corev1.Pod, file string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.logs[logKey(pod)] = file
}

func (n *Node) forgetLog(pod *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if file, there := n.logs[logKey(pod)]; there {
		_ = os.Remove(file) // it is in a folder that goes with the cluster
		delete(n.logs, logKey(pod))
	}
}

func logKey(pod *corev1.Pod) string {
	return pod.Namespace + "/" + pod.Name + "/" + pod.Spec.Containers[0].Name
}
