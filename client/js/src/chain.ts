// A Jialing chain for viem, whose blocks and receipts have transactions of type 0x50 beside Ethereum's.

import { defineBlock, defineChain, defineTransaction, defineTransactionReceipt, formatTransaction } from "viem";
import type {
  Block, BlockTag, Chain, ChainFormatters, Hex, RpcBlock, RpcTransaction, RpcTransactionReceipt, Transaction, TransactionReceipt, TransactionType,
} from "viem";

/** A transaction of type 0x50 on the chain: the fields of type 2, and the key. */
export type Sm2ChainTransaction = Omit<Extract<Transaction, { type: "eip1559" }>, "type" | "typeHex"> & {
  type: "sm2";
  typeHex: "0x50";
  /** X ‖ Y, 64 bytes. */
  publicKey: Hex;
};

/** Any transaction of a Jialing chain. */
export type JialingTransaction = Transaction | Sm2ChainTransaction;

/** A receipt, whose type may be "sm2". */
export type JialingReceipt = TransactionReceipt<bigint, number, "success" | "reverted", TransactionType | "sm2">;

/** What jialing makes of a chain. Everything else is asked of the node at `rpcUrl`. */
export type JialingOptions = {
  name?: string;
  /** For subscriptions, as ws:// or wss://. */
  webSocketUrl?: string;
  /** The coin's name, symbol and decimals. */
  nativeCurrency?: { name: string; symbol: string; decimals: number };
};

type WireTransaction = RpcTransaction & { publicKey?: Hex };
type WireBlock = RpcBlock<BlockTag, boolean, WireTransaction>;

// What viem's own formatters do not know; viem lays it over theirs, except within a block.
const sm2Fields = (tx: WireTransaction) => ((tx.type as string) === "0x50" ? { type: "sm2", publicKey: tx.publicKey } : {});

const formatters = {
  transaction: defineTransaction({ format: (tx: WireTransaction) => sm2Fields(tx) as JialingTransaction }),
  transactionReceipt: defineTransactionReceipt({
    format: (receipt: RpcTransactionReceipt) => ((receipt.type as string) === "0x50" ? { type: "sm2" } : {}) as JialingReceipt,
  }),
  block: defineBlock({
    format: (block: WireBlock) =>
      ({
        transactions: block.transactions?.map((tx) => (typeof tx === "string" ? tx : { ...formatTransaction(tx), ...sm2Fields(tx) })),
      }) as Block<bigint, boolean, BlockTag, JialingTransaction>,
  }),
} as const satisfies ChainFormatters;

/** The definition of a Jialing chain. In transactions, blocks and receipts, type 0x50 reads "sm2". */
export function jialing(chainId: number, rpcUrl: string, options: JialingOptions = {}): Chain<typeof formatters> {
  const { name = "Jialing", webSocketUrl, nativeCurrency = { name: "Jialing", symbol: "JL", decimals: 18 } } = options;
  const rpcUrls = { default: { http: [rpcUrl], ...(webSocketUrl ? { webSocket: [webSocketUrl] } : {}) } };
  return defineChain({ id: chainId, name, nativeCurrency, rpcUrls, formatters });
}
