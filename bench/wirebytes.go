package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// errNoSockets is a machine without the program ss (iproute2), which reads the kernel's counters of every connection.
var errNoSockets = errors.New("ss (iproute2) is not installed")

// wireBytes is what the connections between the nodes have carried so far, both directions, with framing, encryption and what was sent twice: the
// payload of TCP as the kernel counts it. A connection that has ended is not in it.
func (c cluster) wireBytes(ctx context.Context) (float64, error) {
	if _, err := exec.LookPath("ss"); err != nil {
		return 0, errNoSockets
	}
	out, err := exec.CommandContext(ctx, "ss", "-t", "-i", "-n", "-p", "-H", "-O", "state", "established").Output()
	if err != nil {
		return 0, fmt.Errorf("read the nodes' connections: %w", err)
	}
	own := make(map[string]map[string]bool) // by pid: ports that clients connect to
	for _, p := range c {
		if p == nil {
			continue
		}
		ports := make(map[string]bool)
		for _, address := range []string{p.http, p.ws, p.pprof} {
			if u, err := url.Parse(address); err == nil && u.Port() != "" {
				ports[u.Port()] = true
			}
		}
		own[strconv.Itoa(p.cmd.Process.Pid)] = ports
	}
	return parseSockets(out, own)
}

var (
	socketPID  = regexp.MustCompile(`pid=(\d+)`)
	socketSent = regexp.MustCompile(`bytes_sent:(\d+)`)
)

// parseSockets adds up bytes_sent of the lines of these processes but for their connections with clients. Each connection between two nodes has a line
// at both ends, each of which says what it has sent.
func parseSockets(out []byte, own map[string]map[string]bool) (total float64, err error) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		pid, sent := socketPID.FindStringSubmatch(lines.Text()), socketSent.FindStringSubmatch(lines.Text())
		fields := strings.Fields(lines.Text())
		if pid == nil || sent == nil || len(fields) < 4 {
			continue
		}
		clients, ours := own[pid[1]]
		if !ours || clients[fields[2][strings.LastIndexByte(fields[2], ':')+1:]] {
			continue
		}
		n, err := strconv.ParseFloat(sent[1], 64)
		if err != nil {
			return 0, fmt.Errorf("read the nodes' connections: %w", err)
		}
		total += n
	}
	return total, lines.Err()
}
