// A Kafka cluster of librdkafka's mock brokers (rdkafka_mock.h), in a process of its own.
// The first line of its output is the list of brokers. Commands come on standard input, one a line:
//
//   topic NAME PARTITIONS                      makes a topic
//   put NAME PARTITION PAYLOAD [HEADER=VALUE]  sends a message; PAYLOAD and VALUE in hexadecimal, `-` for none
//   flush                                      waits for all messages: "delivered N failed N", both since the start
//   down BROKER, up BROKER                     closes the connections of a broker (1 to 3) and its port, or opens it
//
// `topic`, `flush`, `down` and `up` answer with one line. The end of the input ends the process.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long delivered, failed;

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    (void)handle, (void)opaque;
    if (message->err) failed++; else delivered++;
}

static void fail(const char *what, const char *reason) {
    fprintf(stderr, "mock: %s: %s\n", what, reason);
    exit(1);
}

static rd_kafka_t *make(const char *const *options) {
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; options[0]; options += 2)
        if (rd_kafka_conf_set(conf, options[0], options[1], text, sizeof text) != RD_KAFKA_CONF_OK) fail(options[0], text);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!handle) fail("rd_kafka_new", text);
    return handle;
}

// Decodes in place; returns the number of bytes.
static size_t hex(char *text) {
    size_t count = 0;
    unsigned byte;
    if (text[0] == '-') return 0;
    while (sscanf(text + 2 * count, "%2x", &byte) == 1) text[count++] = (char)byte;
    return count;
}

static void put(rd_kafka_t *producer, char *rest) {
    char *topic = strtok(rest, " "), *partition = strtok(NULL, " "), *payload = strtok(NULL, " "), *header;
    if (!payload) fail("put", "needs NAME PARTITION PAYLOAD");
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    while ((header = strtok(NULL, " "))) {
        char *value = strchr(header, '=');
        if (!value) fail("put", "a header must be NAME=VALUE");
        *value++ = 0;
        rd_kafka_header_add(headers, header, -1, value, (ssize_t)hex(value));
    }
    int isNull = payload[0] == '-';
    size_t size = hex(payload);
    for (;;) {
        // The producer takes the headers if it takes the message.
        rd_kafka_headers_t *own = rd_kafka_headers_copy(headers);
        rd_kafka_resp_err_t code = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(atoi(partition)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_VALUE(isNull ? NULL : payload, isNull ? 0 : size), RD_KAFKA_V_HEADERS(own), RD_KAFKA_V_END);
        if (!code) break;
        rd_kafka_headers_destroy(own);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail("produce", rd_kafka_err2str(code));
        rd_kafka_poll(producer, 100);
    }
    rd_kafka_headers_destroy(headers);
    rd_kafka_poll(producer, 0);
}

int main(void) {
    rd_kafka_t *host = make((const char *const[]){"client.id", "mock", NULL});
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(host, 3);
    if (!cluster) fail("rd_kafka_mock_cluster_new", "no cluster");
    const char *brokers = rd_kafka_mock_cluster_bootstraps(cluster);
    // Without retries, no message is in the log twice.
    rd_kafka_t *producer = make((const char *const[]){
        "bootstrap.servers", brokers, "message.send.max.retries", "0", "compression.codec", "lz4", "linger.ms", "20", NULL});
    printf("%s\n", brokers);
    fflush(stdout);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *rest = strchr(line, ' ');
        if (rest) *rest++ = 0;
        if (!strcmp(line, "put") && rest) {
            put(producer, rest);
            continue;
        }
        rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
        if (!strcmp(line, "topic") && rest) {
            char *name = strtok(rest, " "), *count = strtok(NULL, " ");
            code = rd_kafka_mock_topic_create(cluster, name, count ? atoi(count) : 1, 1);
        } else if (!strcmp(line, "down") && rest) {
            code = rd_kafka_mock_broker_set_down(cluster, atoi(rest));
        } else if (!strcmp(line, "up") && rest) {
            code = rd_kafka_mock_broker_set_up(cluster, atoi(rest));
        } else if (!strcmp(line, "flush")) {
            rd_kafka_flush(producer, 60000);
            printf("delivered %ld failed %ld\n", delivered, failed);
            fflush(stdout);
            continue;
        } else {
            fail(line, "is no command");
        }
        printf("%s\n", code ? rd_kafka_err2str(code) : "ok");
        fflush(stdout);
    }
    free(line);
    rd_kafka_destroy(producer);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(host);
    return 0;
}
