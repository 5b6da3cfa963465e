// Java's clients: the JDK's own (jdk), OkHttp (okhttp, okhttp-http2) and reactor-netty
// (reactor-netty, reactor-netty-http2): GET and POST in turn, one request after the other, with
// bodies that can be read once. The first argument names one, the others are addresses. What a
// client program is given and prints is in tests/clients/src/running.rs.

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Protocol;
import okhttp3.Request;
import okhttp3.RequestBody;
import okio.BufferedSink;
import reactor.core.publisher.Mono;
import reactor.netty.ByteBufFlux;
import reactor.netty.http.HttpProtocol;

public class Client {
    static final String BODY = "x".repeat(1000);
    static final CountDownLatch STOPPING = new CountDownLatch(1);

    /** Asks once, and returns the text of the answer. */
    interface Asks {
        String ask(String url, boolean post) throws Exception;
    }

    static void expect(int status) throws IOException {
        if (status != 200) throw new IOException("status " + status);
    }

    static Asks jdk() {
        HttpClient client = HttpClient.newHttpClient();
        return (url, post) -> {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
            if (post) {
                // There is none any more for who asks twice.
                var body = new AtomicReference<InputStream>(new ByteArrayInputStream(BODY.getBytes()));
                request.POST(HttpRequest.BodyPublishers.ofInputStream(() -> body.getAndSet(null)));
            }
            HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
            expect(answer.statusCode());
            return answer.body();
        };
    }

    /** A body of which OkHttp knows that it can't be sent again. */
    static class Once extends RequestBody {
        @Override
        public MediaType contentType() {
            return null;
        }

        @Override
        public long contentLength() {
            return BODY.length();
        }

        @Override
        public boolean isOneShot() {
            return true;
        }

        @Override
        public void writeTo(BufferedSink sink) throws IOException {
            sink.writeUtf8(BODY);
        }
    }

    static Asks okhttp(Protocol protocol) {
        OkHttpClient client = new OkHttpClient.Builder().protocols(List.of(protocol)).build();
        return (url, post) -> {
            Request.Builder request = new Request.Builder().url(url);
            if (post) request.post(new Once());
            try (okhttp3.Response answer = client.newCall(request.build()).execute()) {
                expect(answer.code());
                return answer.body().string();
            }
        };
    }

    static Asks reactorNetty(HttpProtocol protocol) {
        var client = reactor.netty.http.client.HttpClient.create().protocol(protocol);
        return (url, post) -> {
            // There is none any more for who asks twice.
            var body = new AtomicReference<String>(BODY);
            var once = Mono.fromCallable(() -> body.getAndSet(null))
                .switchIfEmpty(Mono.error(new IOException("the body has been sent before")));
            var request = post
                ? client.post().uri(url).send(ByteBufFlux.fromString(once))
                : client.get().uri(url);
            return request.responseSingle((answer, bytes) -> {
                int status = answer.status().code();
                return status == 200 ? bytes.asString() : Mono.error(new IOException("status " + status));
            }).block(Duration.ofSeconds(60));
        };
    }

    static Asks called(String name) {
        return switch (name) {
            case "jdk" -> jdk();
            case "okhttp" -> okhttp(Protocol.HTTP_1_1);
            case "okhttp-http2" -> okhttp(Protocol.H2_PRIOR_KNOWLEDGE);
            case "reactor-netty" -> reactorNetty(HttpProtocol.HTTP11);
            case "reactor-netty-http2" -> reactorNetty(HttpProtocol.H2C);
            default -> throw new IllegalArgumentException("no client is called " + name);
        };
    }

    /** Until it is to stop, with pauses of up to 0.4 s, always the same sequence. */
    static void work(Asks client, String url, Tally tally) {
        long number = 0;
        for (boolean post = false; ; post = !post) {
            try {
                tally.answered(client.ask(url, post));
            } catch (Exception error) {
                tally.failed(error);
            }
            number = (number * 1103515245 + 12345) % (1L << 31);
            try {
                if (STOPPING.await(number * 400 / (1L << 31), TimeUnit.MILLISECONDS)) return;
            } catch (InterruptedException error) {
                return;
            }
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        Asks client = called(arguments[0]);
        Map<String, Tally> tallies = new LinkedHashMap<>();
        List<Thread> threads = new ArrayList<>();
        for (String url : List.of(arguments).subList(1, arguments.length)) {
            Tally tally = new Tally();
            tallies.put(url, tally);
            threads.add(new Thread(() -> work(client, url, tally)));
        }
        threads.forEach(Thread::start);
        // SIGTERM runs it, and the process ends with it.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            STOPPING.countDown();
            try {
                for (Thread thread : threads) thread.join();
            } catch (InterruptedException error) {
                return;
            }
            System.out.println(Tally.report(tallies));
        }));
        while (!tallies.values().stream().allMatch(Tally::hasStarted)) Thread.sleep(10);
        System.out.println("ready");
    }
}
