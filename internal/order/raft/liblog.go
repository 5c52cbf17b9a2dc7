package raft

import (
	"fmt"
	"log/slog"
)

// libraryLog is the library's logger. What it cannot go on from it panics with; the driving goroutine ends the session then, see session.step.
type libraryLog struct{ log *slog.Logger }

// broken is what the library panics with here.
type broken string

func (l libraryLog) debug(text string) { l.log.Debug("raft: " + text) }

func (l libraryLog) Debug(v ...any)              { l.debug(fmt.Sprint(v...)) }
func (l libraryLog) Debugf(f string, v ...any)   { l.debug(fmt.Sprintf(f, v...)) }
func (l libraryLog) Info(v ...any)               { l.debug(fmt.Sprint(v...)) }
func (l libraryLog) Infof(f string, v ...any)    { l.debug(fmt.Sprintf(f, v...)) }
func (l libraryLog) Warning(v ...any)            { l.debug(fmt.Sprint(v...)) }
func (l libraryLog) Warningf(f string, v ...any) { l.debug(fmt.Sprintf(f, v...)) }
func (l libraryLog) Error(v ...any)              { l.debug(fmt.Sprint(v...)) }
func (l libraryLog) Errorf(f string, v ...any)   { l.debug(fmt.Sprintf(f, v...)) }
func (l libraryLog) Fatal(v ...any)              { panic(broken(fmt.Sprint(v...))) }
func (l libraryLog) Fatalf(f string, v ...any)   { panic(broken(fmt.Sprintf(f, v...))) }
func (l libraryLog) Panic(v ...any)              { panic(broken(fmt.Sprint(v...))) }
func (l libraryLog) Panicf(f string, v ...any)   { panic(broken(fmt.Sprintf(f, v...))) }
