// Command probe does as its arguments say, one after the other, and is linked statically.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	for _, arg := range os.Args[1:] {
		verb, rest, _ := strings.Cut(arg, "=")
		switch verb {
		case "env":
			fmt.Println(os.Getenv(rest))
		case "cat":
			content, err := os.ReadFile(rest)
			fmt.Println(strings.TrimSpace(string(content)), errText(err))
		case "list":
			entries, err := os.ReadDir(rest)
			for _, entry := range entries {
				fmt.Println(entry.Name())
			}
			fmt.Print(errText(err))
		case "write":
			fmt.Println("write:", errText(os.WriteFile(rest, []byte("x"), 0o600)))
		case "id":
			fmt.Println("user", os.Getuid())
		case "last":
			fmt.Print(errText(os.WriteFile("/dev/termination-log", []byte(rest), 0o600)))
		case "exit":
			code, _ := strconv.Atoi(rest)
			os.Exit(code)
		case "wait":
			asked := make(chan os.Signal, 1)
			signal.Notify(asked, syscall.SIGTERM)
			fmt.Println("waiting")
			<-asked
			os.Exit(3)
		}
	}
}

func errText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}
