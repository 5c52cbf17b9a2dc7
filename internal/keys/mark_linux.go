package keys

import (
	"os"

	"golang.org/x/sys/unix"
)

// identify names an open file.
func identify(f *os.File) (markBody, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return markBody{}, &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	out := markBody{Inode: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		out.Born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return out, nil
}
