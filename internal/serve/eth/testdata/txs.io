// Transactions of types 0, 1, 2, 4, a creation, one of the pool, an unknown one; receipts.
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["{tx1.0}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0xdadc7b4263cbf0f0ab6661b5171c21efca0ee24b1b55af55510a02597f8355b0","blockNumber":"0x1","blockTimestamp":"0x6553f101","transactionIndex":"0x0","from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0x5208","gasPrice":"0x9","hash":"0x137c291e4b093c9465e3cb2c44a36f6bf1fc9e5380aad0e243c37def5b168d82","input":"0x","nonce":"0x0","to":"0x7070000000000000000000000000000000000001","value":"0x1","type":"0x0","chainId":"0x539","v":"0xa96","r":"0x5a311a5f37a81bb00cb4a8f92e41e3c027cc87dc23cfaf4c64043cfb28208dd5","s":"0x2dfe607dd9fdc878e70cce1a053b6888d08c87fad99e5120adc66f1eec602849"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["{tx1.1}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0xdadc7b4263cbf0f0ab6661b5171c21efca0ee24b1b55af55510a02597f8355b0","blockNumber":"0x1","blockTimestamp":"0x6553f101","transactionIndex":"0x1","from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0xc350","gasPrice":"0x8","hash":"0x890ba7c43c24ee14d91f2812164ee3558211e569cf1a56c5c441683e3f3e0636","input":"0x0102","nonce":"0x1","to":"0x7070000000000000000000000000000000000001","value":"0x0","type":"0x1","accessList":[{"address":"0x7070000000000000000000000000000000000001","storageKeys":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"]}],"chainId":"0x539","v":"0x1","r":"0xcaa96174df106b81e6d5161af945b97b0bf6bbc35a87c5d7441e5a225cf41c6d","s":"0x170864480675386cdc3608eb344d23484cd32e719e465451f66bb27de1726021","yParity":"0x1"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["{tx2.2}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockNumber":"0x2","blockTimestamp":"0x6553f102","transactionIndex":"0x2","from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0xea60","gasPrice":"0x9","maxFeePerGas":"0x64","maxPriorityFeePerGas":"0x2","hash":"0x3b61c0a888e2f76777a244665ce9214f21cc82f7c2acf8b950416975888aa86f","input":"0x","nonce":"0x7","to":"0x7070000000000000000000000000000000000001","value":"0x400000000000000000","type":"0x2","accessList":[],"chainId":"0x539","v":"0x1","r":"0x15b675362b988bc187c3b5ef3220b27b9bc58316d4e66beee6b5c2577646bf3b","s":"0x1eaf5a04123c51761d3557cdec32e159b045dede3736dbd6fc0f3fa20180a007","yParity":"0x1"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["{tx2.3}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockNumber":"0x2","blockTimestamp":"0x6553f102","transactionIndex":"0x3","from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0x15f90","gasPrice":"0x8","maxFeePerGas":"0x14","maxPriorityFeePerGas":"0x1","hash":"0x1b87e51f37dfb575458f286c501c85a246352e7096d304fcc1921441b89fca8f","input":"0x","nonce":"0x8","to":"0x7070000000000000000000000000000000000001","value":"0x0","type":"0x4","accessList":[],"authorizationList":[{"chainId":"0x539","address":"0x7070000000000000000000000000000000000001","nonce":"0x5","yParity":"0x0","r":"0x172fe5ba649d65cde6c31b32d06d0e684080f8a2a66122caedc1b3524ab4d553","s":"0x31de50f8556421d8629c69058eae284e1dcddbf0372e6ee88fa41996d1ab2b4d"}],"chainId":"0x539","v":"0x0","r":"0x5d4c24aed76425f0c181a9947d09798779494fec1b336f1ba076fc93655d4699","s":"0x3474a2158e30fa38ab933ae76bac673511ef5e24caaa09469e93f5c87f51819a","yParity":"0x0"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["{tx2.4}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockNumber":"0x2","blockTimestamp":"0x6553f102","transactionIndex":"0x4","from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0x30d40","gasPrice":"0x7","maxFeePerGas":"0x7","maxPriorityFeePerGas":"0x0","hash":"0x58f66fa8794c85bb05d3085d93cea1c92beabaf4834dbbdae6c6bd5195eab70f","input":"0x6000","nonce":"0x9","to":null,"value":"0x0","type":"0x2","accessList":[],"chainId":"0x539","v":"0x1","r":"0xb21ea173ab649cf0b9a2fa33419eb28abb78bd306ebef4ad2f536d82e27bfaa1","s":"0x31f66dd1bac03fcf110f60f1fbf095bd9ede0358cd7952824c7062efd7b5c8e9","yParity":"0x1"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["{pooled}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":null,"blockNumber":null,"blockTimestamp":null,"transactionIndex":null,"from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0xea60","gasPrice":"0x64","maxFeePerGas":"0x64","maxPriorityFeePerGas":"0x2","hash":"0x301de6550e5bf3410bba6cee686b84d62d9b06def977531c9faae6bf0a28f6cf","input":"0x","nonce":"0xc","to":"0x7070000000000000000000000000000000000001","value":"0x400000000000000000","type":"0x2","accessList":[],"chainId":"0x539","v":"0x0","r":"0x76b52184ee10c8a01de1ad68b88b645d672a15dab31e9c9e24e596c98a6d1b0","s":"0x4c9a31ef21a632017e069565783fe14b8c726d05d92807a6e4514bdf2c5e7fa9","yParity":"0x0"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["{excluded}"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["{unknown}"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["{tx1.1}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0xdadc7b4263cbf0f0ab6661b5171c21efca0ee24b1b55af55510a02597f8355b0","blockNumber":"0x1","transactionHash":"0x890ba7c43c24ee14d91f2812164ee3558211e569cf1a56c5c441683e3f3e0636","transactionIndex":"0x1","from":"0x71562b71999873db5b286df957af199ec94617f7","to":"0x7070000000000000000000000000000000000001","gasUsed":"0x5209","cumulativeGasUsed":"0xa411","contractAddress":null,"logs":[{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa"],"data":"0x01ff","blockNumber":"0x1","transactionHash":"0x890ba7c43c24ee14d91f2812164ee3558211e569cf1a56c5c441683e3f3e0636","transactionIndex":"0x1","blockHash":"0xdadc7b4263cbf0f0ab6661b5171c21efca0ee24b1b55af55510a02597f8355b0","blockTimestamp":"0x6553f101","logIndex":"0x0","removed":false}],"logsBloom":"0x00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000200000000000000000000000000000000000000000000000000000040000000000000000000100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000800000000000000000000000000000000000000000000000000000000000000000000000000000000000000000010000000000000000000","type":"0x1","effectiveGasPrice":"0x8","status":"0x1"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["{tx2.3}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockNumber":"0x2","transactionHash":"0x1b87e51f37dfb575458f286c501c85a246352e7096d304fcc1921441b89fca8f","transactionIndex":"0x3","from":"0x71562b71999873db5b286df957af199ec94617f7","to":"0x7070000000000000000000000000000000000001","gasUsed":"0x520b","cumulativeGasUsed":"0x14826","contractAddress":null,"logs":[{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"],"data":"0x03ff","blockNumber":"0x2","transactionHash":"0x1b87e51f37dfb575458f286c501c85a246352e7096d304fcc1921441b89fca8f","transactionIndex":"0x3","blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockTimestamp":"0x6553f102","logIndex":"0x1","removed":false}],"logsBloom":"0x00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000002000000000000000000000000200000000000000000000000000000200000000000000000000000000000000000000000000000000000040000000000000000000100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000800000000000000000008000000000000000000000000000000000000000000000080000000000000000000000010000000000000000000","type":"0x4","effectiveGasPrice":"0x8","status":"0x0"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["{tx2.4}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockNumber":"0x2","transactionHash":"0x58f66fa8794c85bb05d3085d93cea1c92beabaf4834dbbdae6c6bd5195eab70f","transactionIndex":"0x4","from":"0x71562b71999873db5b286df957af199ec94617f7","to":null,"gasUsed":"0x520c","cumulativeGasUsed":"0x19a32","contractAddress":"0x82567a6f6e3abe246f62350322a07af7f413cfe6","logs":[],"logsBloom":"0x00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000","type":"0x2","effectiveGasPrice":"0x7","status":"0x1"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["{pooled}"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["{excluded}"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["{unknown}"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["0x12"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: hex string has length 2, want 64 for common.Hash"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByBlockNumberAndIndex","params":["0x1","0x2"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0xdadc7b4263cbf0f0ab6661b5171c21efca0ee24b1b55af55510a02597f8355b0","blockNumber":"0x1","blockTimestamp":"0x6553f101","transactionIndex":"0x2","from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0xea60","gasPrice":"0x9","maxFeePerGas":"0x64","maxPriorityFeePerGas":"0x2","hash":"0x8850817bbf06af4d9dd7b37fa186baf17144007099d93c2ed0e4b29f53e81249","input":"0x","nonce":"0x2","to":"0x7070000000000000000000000000000000000001","value":"0x400000000000000000","type":"0x2","accessList":[],"chainId":"0x539","v":"0x0","r":"0x82008cbd974c25bca12a94f6cf4bcbf12c9edd7a7f87e8eae8cb4382b0b247db","s":"0x35582de2a1f0a45bda556c0e16838c91bb6f2c6d1d82497af87a2b37ab8ad0e0","yParity":"0x0"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByBlockNumberAndIndex","params":["0x1","0x5"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByBlockNumberAndIndex","params":["0x9","0x0"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByBlockNumberAndIndex","params":["pending","0x0"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByBlockHashAndIndex","params":["{block2}","0x0"]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockNumber":"0x2","blockTimestamp":"0x6553f102","transactionIndex":"0x0","from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0x5208","gasPrice":"0x9","hash":"0x78e78d7b27e40f69116fe639801215cdbf06a54ffea39c180eebe943ad8f1cbd","input":"0x","nonce":"0x5","to":"0x7070000000000000000000000000000000000001","value":"0x1","type":"0x0","chainId":"0x539","v":"0xa95","r":"0xc081eb8dbe172374cc107c3461d5e5e59c6733cebfcd87e9a7ae99d28e0b0d8a","s":"0x75647b8c42a82a3318508a319113c653186ab021e0e1da90e7689aff542a00be"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByBlockHashAndIndex","params":["{unknown}","0x0"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getRawTransactionByHash","params":["{tx1.0}"]}
<< {"jsonrpc":"2.0","id":1,"result":"0xf86180098252089470700000000000000000000000000000000000010180820a96a05a311a5f37a81bb00cb4a8f92e41e3c027cc87dc23cfaf4c64043cfb28208dd5a02dfe607dd9fdc878e70cce1a053b6888d08c87fad99e5120adc66f1eec602849"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getRawTransactionByHash","params":["{pooled}"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x02f86d8205390c026482ea609470700000000000000000000000000000000000018940000000000000000080c080a0076b52184ee10c8a01de1ad68b88b645d672a15dab31e9c9e24e596c98a6d1b0a04c9a31ef21a632017e069565783fe14b8c726d05d92807a6e4514bdf2c5e7fa9"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getRawTransactionByHash","params":["{unknown}"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"debug_getRawTransaction","params":["{tx2.1}"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x01f8c1820539060882c35094707000000000000000000000000000000000000180820102f85bf859947070000000000000000000000000000000000001f842a000000000000000000000000000000000000000000000000000000000000000aaa000000000000000000000000000000000000000000000000000000000000000bb80a03451f3356d63867a1a0dccd10489b303f8603bbe84c7e0231e5482edc6d1f47aa05ab431a0868ab66244d2b2b95dc3eff9462d91ab5fa989c038fb8c0ef03a45cc"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getRawTransactionByBlockNumberAndIndex","params":["0x2","0x0"]}
<< {"jsonrpc":"2.0","id":1,"result":"0xf86105098252089470700000000000000000000000000000000000010180820a95a0c081eb8dbe172374cc107c3461d5e5e59c6733cebfcd87e9a7ae99d28e0b0d8aa075647b8c42a82a3318508a319113c653186ab021e0e1da90e7689aff542a00be"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getRawTransactionByBlockHashAndIndex","params":["{block2}","0x9"]}
<< {"jsonrpc":"2.0","id":1,"result":null}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionCount","params":["{sender}","latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionCount","params":["{sender}","0x1"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x1"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionCount","params":["{sender}","pending"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x15"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getTransactionCount","params":["{sender}"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x{new}"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x31334da0f19294ea8ef5a6efd4e3167810c6e498a7572e4c5eaecaac6c9cd502"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x{known}"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"already known"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x{old}"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"nonce too low: next nonce 20, tx nonce 0"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x03c0"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"transaction type not supported: this chain carries no blobs (type 3)"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02c0"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"decode transaction: chainId: unexpected EOF"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0xc0"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"decode transaction: nonce: unexpected EOF"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"decode transaction: unexpected EOF"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["02c0"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: json: cannot unmarshal hex string without 0x prefix into Go value of type hexutil.Bytes"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":[null]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"missing value for required argument 0"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":[]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"missing value for required argument 0"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransactionSync","params":["0x{known}",1]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"already known"}}
