// SM3 (GB/T 32905-2016), and HMAC over it.

const initial = [0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e];
const blockSize = 64;

const rotate = (x: number, n: number) => (x << n) | (x >>> (32 - n));
const p0 = (x: number) => x ^ rotate(x, 9) ^ rotate(x, 17);
const p1 = (x: number) => x ^ rotate(x, 15) ^ rotate(x, 23);

// The round constants, rotated into place.
const rounds = Int32Array.from({ length: 64 }, (_, j) => rotate(j < 16 ? 0x79cc4519 : 0x7a879d8a, j % 32));

/** SM3 of the parts, one after the other: 32 bytes. */
export function sm3(...parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  // The message, a bit 1, zeros, and its length in bits as 64 bits.
  const padded = new Uint8Array(Math.ceil((length + 9) / blockSize) * blockSize);
  let at = 0;
  for (const part of parts) {
    padded.set(part, at);
    at += part.length;
  }
  padded[length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(length / 0x20000000));
  view.setUint32(padded.length - 4, length << 3);

  const state = Int32Array.from(initial);
  const w = new Int32Array(68);
  for (let block = 0; block < padded.length; block += blockSize) compress(state, view, block, w);

  const digest = new Uint8Array(32);
  const out = new DataView(digest.buffer);
  state.forEach((word, i) => out.setInt32(4 * i, word));
  return digest;
}

function compress(state: Int32Array, view: DataView, block: number, w: Int32Array) {
  for (let j = 0; j < 16; j++) w[j] = view.getInt32(block + 4 * j);
  for (let j = 16; j < 68; j++) w[j] = p1(w[j - 16]! ^ w[j - 9]! ^ rotate(w[j - 3]!, 15)) ^ rotate(w[j - 13]!, 7) ^ w[j - 6]!;

  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let j = 0; j < 64; j++) {
    const ss1 = rotate((rotate(a, 12) + e + rounds[j]!) | 0, 7);
    const ff = j < 16 ? a ^ b ^ c : (a & b) | (a & c) | (b & c);
    const gg = j < 16 ? e ^ f ^ g : (e & f) | (~e & g);
    const tt1 = (ff + d + (ss1 ^ rotate(a, 12)) + (w[j]! ^ w[j + 4]!)) | 0;
    const tt2 = (gg + h + ss1 + w[j]!) | 0;
    [d, c, b, a] = [c, rotate(b, 9), a, tt1];
    [h, g, f, e] = [g, rotate(f, 19), e, p0(tt2)];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i]! ^= word));
}

/** HMAC-SM3 (RFC 2104) under a key of at most 64 bytes. */
export function hmacSm3(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  const pad = (byte: number) => {
    const block = new Uint8Array(blockSize).fill(byte);
    key.forEach((b, i) => (block[i]! ^= b));
    return block;
  };
  return sm3(pad(0x5c), sm3(pad(0x36), ...parts));
}
