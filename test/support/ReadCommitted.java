// Reads topics from their beginning to their end with Kafka's own client and isolation.level=read_committed, and prints a line per record: topic, partition, offset, key, value, parted by tabs.
// Use: java -cp ... ReadCommitted BROKERS TOPIC..., or without a topic: then it answers each line of its input, topics parted by tabs, with records and a line with U+0004 behind them.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class ReadCommitted {
  private static final String END = "\u0004";

  public static void main(String[] arguments) throws IOException {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", arguments[0]);
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("key.deserializer", StringDeserializer.class.getName());
    settings.put("value.deserializer", StringDeserializer.class.getName());
    if (arguments.length > 1) {
      System.out.print(read(settings, Arrays.asList(arguments).subList(1, arguments.length)));
    } else {
      BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      for (String topics = questions.readLine(); topics != null; topics = questions.readLine()) {
        System.out.print(read(settings, Arrays.asList(topics.split("\t"))));
        System.out.println(END);
        System.out.flush();
      }
    }
    System.out.flush();
  }

  private static StringBuilder read(Properties settings, List<String> topics) {
    StringBuilder out = new StringBuilder();
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (String topic : topics) {
        consumer.partitionsFor(topic).forEach(info -> partitions.add(new TopicPartition(info.topic(), info.partition())));
      }
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
          out.append(record.topic()).append('\t').append(record.partition()).append('\t').append(record.offset()).append('\t').append(record.key()).append('\t').append(record.value()).append('\n');
        }
      }
    }
    return out;
  }
}
