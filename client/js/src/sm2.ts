// SM2 signatures (GB/T 32918.2-2016) on the curve of GB/T 32918.5-2017. The arithmetic is @noble/curves'.

import { weierstrassPoints } from "@noble/curves/abstract/weierstrass";
import { Field } from "@noble/curves/abstract/modular";
import { hmacSm3, sm3 } from "./sm3.js";

/** The signer's identifier where nothing else is agreed (GM/T 0009). Transactions are signed under it. */
export const defaultId = "1234567812345678";

const a = 0xfffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffcn;
const b = 0x28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93n;
const gx = 0x32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7n;
const gy = 0xbc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0n;
const p = 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffffn;
const n = 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n;

const { ProjectivePoint: Point } = weierstrassPoints({ a, b, Fp: Field(p), n, Gx: gx, Gy: gy, h: 1n });
const scalars = Field(n);
Point.BASE._setWindowSize(8); // a table of the base point, made at the first signature: ten times as fast

/** Big-endian, in 32 bytes. */
function encode(x: bigint): Uint8Array {
  const out = new Uint8Array(32);
  for (let i = 31; i >= 0; i--, x >>= 8n) out[i] = Number(x & 0xffn);
  return out;
}

function decode(bytes: Uint8Array): bigint {
  let x = 0n;
  for (const byte of bytes) x = (x << 8n) | BigInt(byte);
  return x;
}

function scalarOf(privateKey: Uint8Array): bigint {
  const d = privateKey.length === 32 ? decode(privateKey) : 0n;
  // n−1 is excluded too: signing divides by 1 + d.
  if (d < 1n || d > n - 2n) throw new Error("an SM2 private key is 32 bytes with a value of 1 to n−2");
  return d;
}

function pointOf(publicKey: Uint8Array) {
  if (publicKey.length !== 64) throw new Error(`an SM2 public key is 64 bytes, X ‖ Y, not ${publicKey.length}`);
  const [x, y] = [decode(publicKey.subarray(0, 32)), decode(publicKey.subarray(32))];
  if (x >= p || y >= p) throw new Error("the SM2 public key's coordinates are not of the field");
  const point = Point.fromAffine({ x, y });
  point.assertValidity();
  return point;
}

function coordinates(point: InstanceType<typeof Point>): Uint8Array {
  const { x, y } = point.toAffine();
  return concat(encode(x), encode(y));
}

/** One after the other. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const random = (length: number) => globalThis.crypto.getRandomValues(new Uint8Array(length));

// A scalar of 1 to n−2 from 64 bytes: 256 bits more than the order has, so the remainder is as good as even.
const reduce = (wide: Uint8Array) => (decode(wide) % (n - 2n)) + 1n;

/** A new private key from the platform's randomness: 32 bytes. */
export const generatePrivateKey = (): Uint8Array => encode(reduce(random(64)));

/** X ‖ Y of the private key's point: 64 bytes. */
export const publicKeyOf = (privateKey: Uint8Array): Uint8Array => coordinates(Point.BASE.multiply(scalarOf(privateKey)));

/** e = SM3(Z ‖ message), what is signed; Z binds it to the identifier, the curve and the key. */
export function digestOf(message: Uint8Array, publicKey: Uint8Array, id: string = defaultId): Uint8Array {
  const name = new TextEncoder().encode(id);
  if (name.length > 8191) throw new Error(`an SM2 identifier has at most 8191 bytes, not ${name.length}`);
  const bits = name.length * 8;
  const z = sm3(Uint8Array.of(bits >> 8, bits & 0xff), name, ...[a, b, gx, gy].map(encode), publicKey);
  return sm3(z, message);
}

/** The signature r ‖ s over the message: 64 bytes. `publicKey` is the private key's own. */
export function sign(message: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array, id: string = defaultId): Uint8Array {
  const d = scalarOf(privateKey);
  const e = digestOf(message, publicKey, id);
  // The exponent is public and always the same, unlike the steps of Euclid's algorithm on a secret.
  const inverse = scalars.pow(1n + d, n - 2n);
  for (;;) {
    // From the key, the digest and fresh randomness: neither a bad generator nor a repeated message gives the key away.
    const seed = random(32);
    const half = (i: number) => hmacSm3(encode(d), Uint8Array.of(i), e, seed);
    const k = reduce(concat(half(0), half(1)));
    const r = scalars.create(decode(e) + Point.BASE.multiply(k).toAffine().x);
    if (r === 0n || r + k === n) continue;
    const s = scalars.mul(inverse, scalars.create(k - r * d));
    if (s !== 0n) return concat(encode(r), encode(s));
  }
}

/** Whether the signature r ‖ s is this public key's over the message. Never throws. */
export function verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array, id: string = defaultId): boolean {
  if (signature.length !== 64) return false;
  const [r, s] = [decode(signature.subarray(0, 32)), decode(signature.subarray(32))];
  const t = scalars.create(r + s);
  if (r < 1n || r >= n || s < 1n || s >= n || t === 0n) return false;
  try {
    const point = Point.BASE.multiplyUnsafe(s).add(pointOf(publicKey).multiplyUnsafe(t));
    if (point.equals(Point.ZERO)) return false;
    return scalars.create(decode(digestOf(message, publicKey, id)) + point.toAffine().x) === r;
  } catch {
    return false; // the key is no point of the curve
  }
}
