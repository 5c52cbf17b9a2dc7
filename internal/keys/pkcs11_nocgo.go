//go:build !cgo

package keys

import "fmt"

// openPKCS11 cannot load a library without a C compiler's help.
func openPKCS11(Token, []byte) (Device, error) {
	return nil, fmt.Errorf("%w: this program was built without cgo, which PKCS#11 needs: build it with CGO_ENABLED=1 and a C compiler", ErrDevice)
}

// GenerateInToken cannot either.
func GenerateInToken(t Token, from *Sources) error {
	_, err := openPKCS11(t, nil)
	return err
}
