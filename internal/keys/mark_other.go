//go:build !linux

package keys

import "os"

// identify knows no name of files here: no folder is ever found to be a copy, and only the other validators can tell.
func identify(f *os.File) (markBody, error) {
	if _, err := f.Stat(); err != nil {
		return markBody{}, err
	}
	return markBody{Inode: 1}, nil
}
