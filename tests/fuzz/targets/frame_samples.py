"""Good frames of every dialect, in sequences that make books valid: what the fuzzers spoil."""

import json
from collections.abc import Sequence
from zlib import crc32

from tests.fuzz.recordings import frames_of

_BINANCE = [
    b'{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4"}}',
    (
        b'{"e":"bookTicker","u":4,"E":1568014460893,"T":1568014460891,"s":"BNBUSDT","b":"25.35",'
        b'"B":"31.21","a":"25.36","A":"40.66"}'
    ),
    b'{"lastUpdateId":5,"bids":[["1.0","2"],["0.9","1"]],"asks":[["3","4"],["3.1","1"]]}',
    (
        b'{"lastUpdateId":5,"E":1568014460893,"T":1568014460891,"symbol":"BTCUSD_PERP",'
        b'"bids":[["1.0","2"]],"asks":[["3","4"]]}'
    ),
    *(
        b'{"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":%d,"s":"BTCUSDT","U":%d,"u":%d,'
        b'"b":[["1","%d"]],"a":[["3","4"]]}}' % (1_568_014_460_893 + step, step, step, step % 3)
        for step in range(4, 14)
    ),
    *(
        b'{"e":"depthUpdate","E":%d,"T":%d,"s":"BTCUSD_PERP","U":%d,"u":%d,"pu":%d,'
        b'"b":[["1","%d"]],"a":[["3","4"]]}' % (step, step, step, step, step - 1, step % 3)
        for step in range(4, 14)
    ),
    b'{"stream":"btcusdt@depth5@100ms","data":{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]}}',
    b'{"e":"trade","E":5,"T":5,"s":"BTCUSDT","t":9,"p":"1.5","q":"0.1","X":"MARKET","m":true}',
    b'{"e":"trade","E":5,"T":5,"s":"BTCUSDT","t":9,"p":"1.5","q":"0.1","m":true,"M":true}',
    b'{"e":"aggTrade","E":5,"s":"BTCUSDT","a":9,"p":"1.5","q":"0.1","f":1,"l":1,"T":5,"m":false}',
    b'{"result":null,"id":1}',
    b'{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker"}]}',
]
_BITSTAMP = [
    b'{"event":"bts:subscription_succeeded","channel":"live_trades_btcusd","data":{}}',
    (
        b'{"data":{"microtimestamp":"1618678133365913","bids":[["1","2"],["0.9","1"]],'
        b'"asks":[["3","4"]]},"channel":"order_book_btcusd","event":"data"}'
    ),
    *(
        b'{"data":{"microtimestamp":"16186781333659%02d","bids":[["1","%d"]],"asks":[["3","4"]]},'
        b'"channel":"diff_order_book_btcusd","event":"data"}' % (step, step % 3)
        for step in range(14, 24)
    ),
    b'{"microtimestamp":"1618678133365913","bids":[["1","2"]],"asks":[["3","4"]]}',
    (
        b'{"data":{"id":5,"price":2.5,"price_str":"2.5","amount":1e-3,"amount_str":"0.001","type":1,'
        b'"microtimestamp":"1618678133365913"},"channel":"live_trades_btcusd","event":"trade"}'
    ),
]
_BYBIT = [
    (
        b'{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1672304484978,"data":{"s":"BTCUSDT",'
        b'"b":[["1","2"],["0.9","1"]],"a":[["3","4"]],"u":5,"seq":7},"cts":1672304484976}'
    ),
    *(
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1672304484978,"data":{"s":"BTCUSDT",'
        b'"b":[["1","%d"]],"a":[],"u":%d,"seq":8},"cts":1672304484976}' % (step % 3, step)
        for step in range(6, 16)
    ),
    (
        b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,'
        b'"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"9","BT":false}]}'
    ),
    b'{"success":true,"ret_msg":"","op":"subscribe","conn_id":"c"}',
    b'{"topic":"tickers.BTCUSDT","data":{}}',
]
_COINBASE = [
    b'{"type":"subscriptions","channels":[]}',
    b'{"type":"snapshot","product_id":"BTC-USD","bids":[["1","2"]],"asks":[["3","4"]]}',
    (
        b'{"type":"l2update","product_id":"BTC-USD","changes":[["buy","1","0"],["sell","3","1"]],'
        b'"time":"2021-04-17T16:43:37.075687Z"}'
    ),
    (
        b'{"type":"match","trade_id":5,"maker_order_id":"a","side":"sell","size":"0.1","price":"2",'
        b'"product_id":"BTC-USD","sequence":9,"time":"2021-04-17T16:43:37.075687Z"}'
    ),
    (
        b'{"type":"last_match","trade_id":5,"side":"buy","size":"0.1","price":"2",'
        b'"product_id":"BTC-USD","time":"2021-04-17T16:43:37.075687Z"}'
    ),
    (
        b'{"channel":"l2_data","timestamp":"2023-02-09T20:32:50.714964855Z","sequence_num":0,"events":'
        b'[{"type":"snapshot","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"x",'
        b'"price_level":"1","new_quantity":"2"},{"side":"offer","price_level":"3","new_quantity":"4"}'
        b"]}]}"
    ),
    *(
        b'{"channel":"l2_data","timestamp":"2023-02-09T20:32:50.7Z","sequence_num":%d,"events":'
        b'[{"type":"update","product_id":"BTC-USD","updates":[{"side":"offer","price_level":"3",'
        b'"new_quantity":"%d"}]}]}' % (step, step % 3)
        for step in range(1, 10)
    ),
    (
        b'{"channel":"market_trades","timestamp":"2023-02-09T20:19:35Z","sequence_num":10,"events":'
        b'[{"type":"update","trades":[{"trade_id":"7","product_id":"ETH-USD","price":"1260.01",'
        b'"size":"0.3","side":"BUY","time":"2019-08-14T20:42:27.265Z"}]}]}'
    ),
    b'{"channel":"heartbeats","sequence_num":11,"events":[{"heartbeat_counter":"5"}]}',
]
_PLAIN = [
    (
        b'{"type":"trade","instrument":"sim:A","price":"1","size":"2","side":"buy","trade_id":4,'
        b'"event_time_ns":5}'
    ),
    (
        b'{"type":"quote","instrument":"table:EURUSD","bid":"1","bid_size":"1","ask":"2",'
        b'"ask_size":"1","update_id":null,"event_time_ns":null}'
    ),
    (
        b'{"type":"book","instrument":"live-kraken:BTC/USD","bids":[["1","2"],["0.9","1"]],'
        b'"asks":[["3","4"]],"update_id":7,"event_time_ns":8}'
    ),
]


def _kraken() -> list[bytes]:
    check = crc32(b"3401002")  # of the book that the snapshot below makes
    return [
        b'{"event":"heartbeat"}',
        (
            b'{"method":"subscribe","result":{"channel":"book","symbol":"BTC/USD","depth":10},'
            b'"success":true}'
        ),
        (
            b'[336,{"as":[["3.4","0.1","1534614248.123678"]],"bs":[["0.1","2","1534614248.765567"]]},'
            b'"book-10","XBT/USD"]'
        ),
        (
            b'[336,{"a":[["3.4","0.2","1534614248.123678"]]},{"b":[["0.1","0","1534614249.1","r"]],'
            b'"c":"974942666"},"book-10","XBT/USD"]'
        ),
        b'[337,[["5541.2","0.15850568","1534614057.321597","s","l",""]],"trade","XBT/USD"]',
        b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":0.1,'
        b'"qty":2}],"asks":[{"price":3.4,"qty":0.1}],"checksum":%d}]}' % check,
        (
            b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":0.1,'
            b'"qty":0}],"asks":[],"checksum":7,"timestamp":"2023-10-06T17:35:55.440295Z"}]}'
        ),
        (
            b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":2.5,'
            b'"qty":1,"ord_type":"limit","trade_id":4,"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
        ),
        b'{"channel":"heartbeat"}',
    ]


def _okx() -> list[bytes]:
    return [
        b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}',
        b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":'
        b'[["3","4","0","1"]],"bids":[["1","2","0","1"]],"ts":"1597026383085","checksum":%d,'
        b'"prevSeqId":-1,"seqId":5}]}' % crc32(b"1:2:3:4"),
        *(
            b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[],'
            b'"bids":[["1","%d","0","1"]],"ts":"1597026383085","prevSeqId":%d,"seqId":%d}]}'
            % (step % 3, step - 1, step)
            for step in range(6, 16)
        ),
        (
            b'{"arg":{"channel":"books5","instId":"BTC-USD-SWAP"},"data":[{"asks":[["3","4"]],'
            b'"bids":[["1","2"]],"ts":"1597026383085"}]}'
        ),
        (
            b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[{"asks":[["3","4","0","1"]],'
            b'"bids":[["1","2","0","1"]],"ts":"1597026383085","seqId":9}]}'
        ),
        (
            b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",'
            b'"tradeId":"130639474","px":"42219.9","sz":"0.12","side":"buy","ts":"1630048897897"}]}'
        ),
        b"pong",
    ]


_WRITTEN = {
    "binance": _BINANCE,
    "bitstamp": _BITSTAMP,
    "bybit": _BYBIT,
    "coinbase": _COINBASE,
    "kraken": _kraken(),
    "okx": _okx(),
    "plain": _PLAIN,
}
_RECORDED = {
    "binance": (
        "binance/spot_btcusdt_20240808.gz",
        "binance/usdm_btcusdt_20240808.gz",
        "binance/cm_btcusd_perp_20240808.gz",
        "captures/BINANCE.ws.1.0.gz",
    ),
    "bitstamp": ("captures/BITSTAMP.ws.1.0.gz",),
    "coinbase": ("captures/COINBASE.ws.28.0.gz",),
    "kraken": ("captures/KRAKEN.ws.50.0.gz",),
    "okx": ("captures/OKX.ws.1.0.gz",),
}


def frames(venue: str) -> Sequence[bytes]:
    """Return good frames of a dialect: ours, ten times, and those recorded of it."""
    recorded = [frame for name in _RECORDED.get(venue, ()) for frame in frames_of(name)]
    return _WRITTEN[venue] * (10 if recorded else 1) + recorded


def words(venue: str) -> list[bytes]:
    """Return the keys and texts of a dialect's own frames, quoted."""
    found: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                found.add(key)
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)
        elif isinstance(value, str):
            found.add(value)

    for frame in _WRITTEN[venue]:
        if frame.startswith((b"{", b"[")):
            collect(json.loads(frame))
    return [json.dumps(word).encode() for word in sorted(found)]
