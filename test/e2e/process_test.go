package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"
)

// binary builds jialing once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "jialing-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "jialing")
	out, err := exec.Command("go", "build", "-o", path, "github.com/jialing-chain/jialing/cmd/jialing").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build jialing: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// jialing runs the binary to its end and returns what it printed.
func jialing(t testing.TB, args ...string) (stdout, stderr string, err error) {
	path, err := binary()
	require.NoError(t, err)
	var out, errOut bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

// initChain makes a development chain in a fresh folder.
func initChain(t testing.TB, args ...string) (dir string) {
	dir = filepath.Join(t.TempDir(), "node")
	_, stderr, err := jialing(t, append([]string{"init", "--dir", dir, "--dev", "--suite", suite}, args...)...)
	require.NoError(t, err, stderr)
	return dir
}

// process is a running node.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stderr *lockedBuffer
	client *rpc.Client
	started
	// took is from exec to the first answered request.
	took time.Duration
}

// started is what start --json prints once the node serves.
type started struct {
	HTTP      string      `json:"http"`
	WebSocket string      `json:"webSocket"`
	Head      uint64      `json:"head"`
	HeadHash  common.Hash `json:"headHash"`
	Finalized uint64      `json:"finalized"`
}

// startNode runs jialing start on a free port and waits until it serves.
func startNode(t testing.TB, dir string, args ...string) *process {
	p, serves := launchNode(t, nil, dir, append([]string{"--http.addr", "127.0.0.1:0"}, args...)...)
	require.NoError(t, serves())
	return p
}

// launchNode runs jialing start behind a command that it is an argument of (none: by itself) and returns at once; serves waits until the node does.
func launchNode(t testing.TB, behind []string, dir string, args ...string) (p *process, serves func() error) {
	path, err := binary()
	require.NoError(t, err)
	p = &process{t: t, stderr: new(lockedBuffer)}
	line := append(append(append([]string{}, behind...), path, "start", "--json", "--dir", dir), args...)
	p.cmd = exec.Command(line[0], line[1:]...)
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	begin := time.Now()
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.kill() })
	return p, func() error {
		if err := json.NewDecoder(stdout).Decode(&p.started); err != nil {
			p.kill()
			return fmt.Errorf("node did not start: %w; it said: %s", err, p.stderr)
		}
		p.took = time.Since(begin)
		p.client, err = rpc.DialContext(context.Background(), p.WebSocket)
		return err
	}
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if p.client != nil {
		p.client.Close()
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// stop ends it as Ctrl-C does, and expects a clean end.
func (p *process) stop() {
	p.client.Close()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGINT))
	require.NoError(p.t, p.cmd.Wait(), p.stderr.String())
}

func (p *process) call(out any, method string, args ...any) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(p.t, p.client.CallContext(ctx, out, method, args...), "%s; the node said: %s", method, p.stderr)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }
