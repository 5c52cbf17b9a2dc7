package sealed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flynn/noise"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestRecords: what is written comes out, whatever the sizes of writes and reads, and across changes of the key.
func TestRecords(t *testing.T) {
	a, b, written, read := onTape(t, 3)
	rapid.Check(t, func(t *rapid.T) {
		written.written, read.toRead = nil, nil
		var sent []byte
		sizes := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(maxPlain-2, maxPlain+2), rapid.IntRange(0, 3*maxPlain))
		for range rapid.IntRange(1, 5).Draw(t, "writes") {
			msg := bytes.Repeat([]byte{byte(len(sent))}, sizes.Draw(t, "size"))
			if n, err := a.Write(msg); n != len(msg) || err != nil {
				t.Fatalf("write: %d of %d, %v", n, len(msg), err)
			}
			sent = append(sent, msg...)
		}
		if want := len(sent) + len(written.written); len(sent) > 0 && want < 2*len(sent)+lengthBytes+overhead {
			t.Fatal("records have no tags")
		}
		read.toRead = written.written
		var got []byte
		chunk := make([]byte, rapid.IntRange(1, maxPlain).Draw(t, "chunk"))
		for len(got) < len(sent) {
			n, err := b.Read(chunk)
			if err != nil || n == 0 {
				t.Fatalf("read: %d, %v", n, err)
			}
			got = append(got, chunk[:n]...)
		}
		if !bytes.Equal(sent, got) {
			t.Fatal("something else came out")
		}
		if b.frame != nil {
			t.Fatal("a buffer is held for nothing")
		}
	})
}

// TestSameTextTwice: equal plaintexts never look alike, nor does a direction look like the other.
func TestSameTextTwice(t *testing.T) {
	a, b, written, read := onTape(t, 2)
	seen := map[string]bool{}
	for range 10 {
		written.written, read.written = nil, nil
		_, err := a.Write([]byte("the same"))
		require.NoError(t, err)
		_, err = b.Write([]byte("the same"))
		require.NoError(t, err)
		for _, record := range [][]byte{written.written, read.written} {
			require.False(t, seen[string(record)])
			seen[string(record)] = true
		}
	}
}

// TestRekey: both ends change keys at the same record, and nonces go on.
func TestRekey(t *testing.T) {
	a, b, written, read := onTape(t, 4)
	first := a.out.UnsafeKey()
	for i := range 10 {
		written.written = nil
		_, err := a.Write([]byte{byte(i)})
		require.NoError(t, err)
		read.toRead = written.written
		got := make([]byte, 1)
		_, err = b.Read(got)
		require.NoError(t, err)
		require.Equal(t, byte(i), got[0])
		require.Equal(t, a.out.UnsafeKey(), b.inc.UnsafeKey())
		require.Equal(t, i+1 < 4, first == a.out.UnsafeKey(), "record %d", i)
		require.EqualValues(t, i+1, a.out.Nonce())
	}
}

// TestAlteredRecords: altered, repeated, left out, in another order, sent back: each ends the connection, for good.
func TestAlteredRecords(t *testing.T) {
	for name, alter := range map[string]func(a, b *Conn, one, two []byte) []byte{
		"altered":   func(_, _ *Conn, one, _ []byte) []byte { one[len(one)/2] ^= 1; return one },
		"tag":       func(_, _ *Conn, one, _ []byte) []byte { one[len(one)-1] ^= 1; return one },
		"shorter":   func(_, _ *Conn, one, two []byte) []byte { one[1]--; return append(one, two...) },
		"longer":    func(_, _ *Conn, one, two []byte) []byte { one[1]++; return append(one, two...) },
		"left out":  func(_, _ *Conn, _, two []byte) []byte { return two },
		"exchanged": func(_, _ *Conn, one, two []byte) []byte { return append(two, one...) },
		"no text":   func(_, _ *Conn, _, _ []byte) []byte { return append([]byte{0, overhead}, make([]byte, overhead)...) },
		"no length": func(_, _ *Conn, _, _ []byte) []byte { return []byte{0, 0} },
		"garbage":   func(_, _ *Conn, _, _ []byte) []byte { return bytes.Repeat([]byte{0x41}, 1<<16) },
		"sent back": func(_, b *Conn, _, _ []byte) []byte {
			back := b.Conn.(*tape)
			_, _ = b.Write([]byte("mine"))
			return back.written
		},
	} {
		a, b, written, read := onTape(t, rekeyEvery)
		_, err := a.Write([]byte("first record"))
		require.NoError(t, err)
		one := bytes.Clone(written.written)
		written.written = nil
		_, err = a.Write([]byte("second"))
		require.NoError(t, err)
		two := bytes.Clone(written.written)
		read.toRead = alter(a, b, bytes.Clone(one), two)
		buf := make([]byte, 100)
		n, err := b.Read(buf)
		require.ErrorIs(t, err, ErrRecord, name)
		require.Zero(t, n, name)
		require.True(t, read.closed, name)
		read.toRead = one // the right one comes too late
		_, err = b.Read(buf)
		require.ErrorIs(t, err, ErrRecord, name)
		require.Nil(t, b.frame, name)
	}
	// Repeated: the first is good.
	a, b, written, read := onTape(t, rekeyEvery)
	_, err := a.Write([]byte("once"))
	require.NoError(t, err)
	read.toRead = append(bytes.Clone(written.written), written.written...)
	buf := make([]byte, 4)
	_, err = b.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "once", string(buf))
	_, err = b.Read(buf)
	require.ErrorIs(t, err, ErrRecord)
}

// TestTruncation: an end between records is io.EOF, one within is not.
func TestTruncation(t *testing.T) {
	a, _, written, _ := onTape(t, rekeyEvery)
	_, err := a.Write([]byte("some text"))
	require.NoError(t, err)
	whole := written.written
	for cut := range whole {
		_, b, _, read := onTape(t, rekeyEvery)
		read.toRead = bytes.Clone(whole[:cut])
		_, err := b.Read(make([]byte, 100))
		if cut == 0 {
			require.ErrorIs(t, err, io.EOF)
			require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
		} else {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", cut)
		}
		_, again := b.Read(make([]byte, 100))
		require.Equal(t, err, again)
	}
}

// TestCounterEnds: the last nonce is never passed; the connection ends at both ends.
func TestCounterEnds(t *testing.T) {
	a, b, written, read := onTape(t, rekeyEvery)
	a.out.SetNonce(noise.MaxNonce)
	b.inc.SetNonce(noise.MaxNonce)
	_, err := a.Write([]byte("last"))
	require.NoError(t, err)
	read.toRead = bytes.Clone(written.written)
	_, err = b.Read(make([]byte, 10))
	require.NoError(t, err)
	for range 2 {
		written.written = nil
		n, err := a.Write([]byte("one more"))
		require.ErrorIs(t, err, noise.ErrMaxNonce)
		require.ErrorIs(t, err, ErrRecord)
		require.Zero(t, n)
		require.Empty(t, written.written)
		require.True(t, written.closed)
	}
	read.toRead = append([]byte{0, 20}, make([]byte, 20)...)
	_, err = b.Read(make([]byte, 10))
	require.ErrorIs(t, err, noise.ErrMaxNonce)
	require.True(t, read.closed)
}

// TestBrokenWrite: after a write that failed nothing more is written: half a record may be on its way.
func TestBrokenWrite(t *testing.T) {
	a, _, written, _ := onTape(t, rekeyEvery)
	written.broken = os.ErrDeadlineExceeded
	_, err := a.Write([]byte("text"))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	written.broken = nil
	_, err = a.Write([]byte("text"))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Empty(t, written.written)
}

// TestReadDeadline: a deadline that passes within a record loses nothing of it.
func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := channels(t, rekeyEvery)
		tapeOfA := &tape{Conn: a.Conn}
		pipe := a.Conn
		a.Conn = tapeOfA
		_, err := a.Write([]byte("in four pieces"))
		require.NoError(t, err)
		record := tapeOfA.written
		buf := make([]byte, 100)
		for i, piece := range [][]byte{record[:1], record[1:5], record[5:20], record[20:]} {
			go func() { _, _ = pipe.Write(piece) }()
			require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Second)))
			n, err := b.Read(buf)
			if i < 3 {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, "in four pieces", string(buf[:n]))
		}
		// Close wakes a reader.
		require.NoError(t, b.SetReadDeadline(time.Time{}))
		woken := make(chan error, 1)
		go func() {
			_, err := b.Read(buf)
			woken <- err
		}()
		synctest.Wait()
		require.NoError(t, b.Close())
		require.Error(t, <-woken)
	})
}

// FuzzRecords: whatever follows a handshake, reading ends with an error, and nothing comes out that was not written by the peer.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{0, 17}, 1)
	f.Add(append(binary.BigEndian.AppendUint16(nil, 40), make([]byte, 40)...), 7)
	f.Add(bytes.Repeat([]byte{0xff}, 70000), 4096)
	_, b, _, read := onTape(f, rekeyEvery)
	f.Fuzz(func(t *testing.T, wire []byte, chunk int) {
		read.toRead, b.got, b.readErr = wire, 0, nil
		b.in.Reset(read)
		n, err := io.ReadAtLeast(b, make([]byte, 1+max(0, min(chunk, 1<<16))), 1)
		require.Zero(t, n)
		require.True(t, errors.Is(err, ErrRecord) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
	})
}
