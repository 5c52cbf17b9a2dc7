package store

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/jialing-chain/jialing/internal/store/vault"
)

// The file FORMAT marks a data folder and names its format, before Pebble is asked: Pebble would take a folder whose manifest is missing for a new one, and delete
// what is in it. It is one line: "jialing store <version> <state>".
const stampName = "FORMAT"

type stampState string

const (
	// stampNone: an empty folder.
	stampNone stampState = ""
	// stampCreating: the database is being made, there is nothing in it yet.
	stampCreating stampState = "creating"
	// stampReady: there is a database.
	stampReady stampState = "ready"
)

const stampPrefix = "jialing store "

// readStamp tells what the folder holds, or why it is refused.
func readStamp(fs vfs.FS, dir string) (stampState, error) {
	names, err := fs.List(dir)
	if err != nil {
		return stampNone, fmt.Errorf("list folder: %w", err)
	}
	if !slices.Contains(names, stampName) {
		for _, n := range names {
			if n != "LOCK" && n != stampName+".tmp" && n != vault.KeyFileName && n != vault.KeyFileName+".tmp" {
				return stampNone, fmt.Errorf("%w: it has no file %s but holds %q, so it is no data folder or lost that file; choose an empty folder", ErrFormat, stampName, n)
			}
		}
		return stampNone, nil
	}
	text, err := readSmallFile(fs, fs.PathJoin(dir, stampName))
	if err != nil {
		return stampNone, err
	}
	rest, ok := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), stampPrefix)
	var version uint32
	var state stampState
	if _, err := fmt.Sscanf(rest, "%d %s", &version, &state); err != nil || !ok {
		return stampNone, fmt.Errorf("%w: file %s reads %q", ErrCorrupt, fs.PathJoin(dir, stampName), text)
	}
	switch {
	case version > formatVersion:
		return stampNone, fmt.Errorf("%w: it was written by a newer program (format %d, this one reads %d); use that program", ErrFormat, version, formatVersion)
	case version < formatVersion:
		return stampNone, fmt.Errorf("%w: it was written by an older program (format %d, this one reads %d); export the chain with that program and import it into "+
			"a new folder", ErrFormat, version, formatVersion)
	case state != stampCreating && state != stampReady:
		return stampNone, fmt.Errorf("%w: file %s reads %q", ErrCorrupt, fs.PathJoin(dir, stampName), text)
	}
	return state, nil
}

// writeStamp replaces the stamp in one step.
func writeStamp(fs *failStopFS, dir string, state stampState) error {
	name := fs.PathJoin(dir, stampName)
	f, err := fs.Create(name+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(f, "%s%d %s\n", stampPrefix, formatVersion, state) // failures are seen in failure() below
	_ = f.Sync()
	_ = f.Close()
	_ = fs.Rename(name+".tmp", name)
	if err := syncDir(fs, dir); err != nil {
		return err
	}
	if err := fs.failure(); err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer d.Close()
	return d.Sync()
}

// maxSmallFile bounds the files that are read whole.
const maxSmallFile = 4096

func readSmallFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmallFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}
