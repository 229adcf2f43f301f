// Command pod is what runs in the Pods of the end-to-end test that are not Signoff's: without arguments it waits, as the container that
// keeps a Pod together does; `pod say TEXT…` prints a line and ends well, and `pod fail TEXT…` ends badly.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) == 1 {
		wait()
		return
	}
	fmt.Println(strings.Join(os.Args[2:], " "))
	if os.Args[1] == "fail" {
		os.Exit(1)
	}
}

// wait ends when it is told to.
func wait() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
}
