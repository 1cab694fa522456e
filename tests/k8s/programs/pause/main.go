// A container that does nothing until it is told to end, and not even then if it is called with `stubborn`.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	for {
		<-told
		if len(os.Args) < 2 || os.Args[1] != "stubborn" {
			return
		}
	}
}
