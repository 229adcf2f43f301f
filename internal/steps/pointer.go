package steps

import (
	"slices"
	"strings"
)

var (
	escapePointer   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")
)

// pointer writes a path as a JSON pointer (RFC 6901).
func pointer(at []string) string {
	var out strings.Builder
	for _, segment := range at {
		out.WriteString("/" + escapePointer.Replace(segment))
	}
	return out.String()
}

// segments reads a JSON pointer that begins with "/".
func segments(pointer string) []string {
	parts := strings.Split(pointer, "/")[1:]
	for i := range parts {
		parts[i] = unescapePointer.Replace(parts[i])
	}
	return parts
}

// isServerField reports whether a JSON pointer reaches metadata by which it is later told whether the patch was applied.
func isServerField(at string) bool {
	parts := segments(at)
	if len(parts) == 1 {
		return parts[0] == "metadata" || parts[0] == "apiVersion" || parts[0] == "kind" || parts[0] == ""
	}
	return parts[0] == "metadata" && slices.Contains([]string{"managedFields", "resourceVersion", "uid", "name", "namespace"}, parts[1])
}
