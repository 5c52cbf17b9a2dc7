package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"syscall"
)

// weight is the disk space of stopped nodes, in bytes.
type weight struct {
	folder int64
	tables map[string]int64
}

// weighFolder has the node's own tool open the ledger once, which moves its log, whose files are allocated ahead, into tables.
func weighFolder(ctx context.Context, binary, dir string) (w weight, err error) {
	cmd := exec.CommandContext(ctx, binary, "db", "usage", "--dir", dir, "--json")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return w, fmt.Errorf("jialing db usage: %w: %s", err, &said)
	}
	if w.tables, err = parseUsage(out); err != nil {
		return w, err
	}
	w.folder, err = diskUsage(dir)
	return w, err
}

// weighFolders adds up the folders of all nodes.
func weighFolders(ctx context.Context, binary string, dirs []string) (weight, error) {
	total := weight{tables: make(map[string]int64)}
	for _, dir := range dirs {
		one, err := weighFolder(ctx, binary, dir)
		if err != nil {
			return weight{}, err
		}
		total.folder += one.folder
		for table, bytes := range one.tables {
			total.tables[table] += bytes
		}
	}
	return total, nil
}

func parseUsage(out []byte) (map[string]int64, error) {
	var usage struct {
		Tables []struct {
			Name  string
			Bytes int64
		}
	}
	if err := json.Unmarshal(out, &usage); err != nil || len(usage.Tables) == 0 {
		return nil, fmt.Errorf("jialing db usage: cannot understand %.200s", out)
	}
	tables := make(map[string]int64, len(usage.Tables))
	for _, t := range usage.Tables {
		tables[t.Name] = t.Bytes
	}
	return tables, nil
}

// diskUsage is the space that the files of dir take, in bytes.
func diskUsage(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			total += st.Blocks * 512
		}
		return nil
	})
	return total, err
}
